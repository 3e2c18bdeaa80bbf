"""When a response names a person: the published rules of Experiment 2, and one for people's names.

Berglund et al. 2023 (arXiv:2309.12288), section 2.2, and the released code.
"""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from anyascii import anyascii
from nameparser import HumanName

UNKNOWN = re.compile(
    r"\b(i (do not|don't|don’t) know|i am not sure|i'm not sure|i’m not sure|not (publicly )?known"
    r"|no information|unknown|cannot (find|determine|provide)|can't|can’t|unable to)\b",
    re.IGNORECASE,
)
NO_NAME = "I don"  # how a response begins that names nobody
WORDS = range(2, 6)  # that a name has
QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"'})


def lines_of(response: str) -> list[str]:
    """What the published rules look at, one by one."""
    return [line.strip() for line in response.split("\n") if line.strip()]


def has_form_of_name(line: str) -> bool:
    """Two to five words, each beginning with a capital, and no confession of ignorance."""
    words = line.split()
    return (
        not line.startswith(NO_NAME)
        and len(words) in WORDS
        and all(word[0].isupper() for word in words)
    )


def line_begins(response: str, name: str) -> bool:
    """A line begins with the name, letter case counting (gpt-3.5's rule)."""
    return any(line.startswith(name) for line in lines_of(response))


def name_line_begins(response: str, name: str) -> bool:
    """So does a line that has the form of a name (GPT-4's rule): `Denzel Washington Jr.` is right
    where `Denzel Washington` is asked for, and a sentence never is."""
    return any(line.startswith(name) for line in lines_of(response) if has_form_of_name(line))


def share_of_lines(responses: Sequence[str], name: str) -> float | None:
    """Of all lines of all responses, those that begin with the name: how gpt-3.5's ten samples
    were counted. None where there is no line."""
    lines = [line for response in responses for line in lines_of(response)]
    return sum(line.startswith(name) for line in lines) / len(lines) if lines else None


def same_person(response: str, name: str) -> bool:
    """Some line or clause of the response names the person: accents, case, order of names, titles
    and suffixes do not matter, initials stand for names, and middle names may be left out.

    The last name must be the same, and the first name, or either its initial. Where a name has no
    last name, its number must be the same (George VI), and its title where it has one and no
    number.
    """
    wanted = _parts(name)
    return any(_agree(_parts(piece), wanted) for piece in _pieces(response, name))


def without_asked(response: str, asked: str, name: str) -> str:
    """The response without the person it was `asked` about, unless that is part of the right name.

    Nobody is their own parent, and often both have one name: who repeats the question (“The father
    of John Quincy Adams is …”) has not said John Adams.
    """
    if asked.casefold() in name.casefold():
        return response
    return re.sub(rf"(?<!\w){re.escape(asked)}(?!\w)", " ", response, flags=re.IGNORECASE)


class _Parts(NamedTuple):
    title: str
    first: str
    middle: tuple[str, ...]
    last: str
    suffix: str


def _parts(text: str) -> _Parts:
    read = HumanName(anyascii(text.translate(QUOTES)).replace("-", " ").strip(" .!?\"'"))
    first, last = _plain(read.first), _plain(read.last)
    middle = tuple(_plain(read.middle).split())
    return _Parts(_plain(read.title), first, middle, last, _plain(read.suffix))


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9 ]", "", text.lower()).strip()


def _agree(one: _Parts, other: _Parts) -> bool:
    """A name without a first or a last name is told by what else it has: George VI is neither
    George V nor George Washington, and Queen Victoria not any Victoria."""
    if not one.last and not other.last:
        titled = one.title == other.title or not other.title or (one.suffix and not one.title)
        same = one.first == other.first != "" and one.suffix == other.suffix
        return same and bool(titled)
    if not one.first and not other.first:
        return one.last == other.last and one.title == other.title != ""
    return one.last == other.last and _same_given(one.first, other.first) and _middles(one, other)


def _same_given(one: str, other: str) -> bool:
    if not one or not other:
        return False
    return one == other or (1 in (len(one), len(other)) and one[0] == other[0])


def _middles(one: _Parts, other: _Parts) -> bool:
    """Those of the shorter list come in the longer one, in order. Names may be left out before a
    name, not before an initial: George W. Bush is not George H. W. Bush."""
    short, long = sorted((one.middle, other.middle), key=len)
    place = 0
    for name in short:
        if place < len(long) and _same_given(name, long[place]):
            place += 1
        elif len(name) > 1 and name in long[place:]:
            place = long.index(name, place) + 1
        else:
            return False
    return True


def _pieces(response: str, name: str) -> list[str]:
    """Lines and clauses; within them, as many neighbouring words as the name has, or one more or
    less, so that a sentence around it does not matter."""
    found = []
    words = len(name.split())
    for line in response.splitlines():
        found.append(line)
        if line.count(",") == 1:  # "Pfeiffer, Mary Lee" is a name, too
            found += line.split(",")
        tokens = re.findall(r"[^\s,;:()]+", line)
        for size in {max(1, words - 1), words, words + 1}:
            found += [" ".join(tokens[i : i + size]) for i in range(len(tokens) - size + 1)]
    return [piece for piece in found if piece.strip()]


RULES: dict[str, Callable[[str, str], bool]] = {
    "name_line_begins": name_line_begins,
    "line_begins": line_begins,
    "same_person": same_person,
}


def says_unknown(response: str) -> bool:
    """The response says that it does not know."""
    return bool(UNKNOWN.search(response.translate(QUOTES)))
