"""When a response names a person: the published rules of Experiment 2, and one for people's names.

Berglund et al. 2023 (arXiv:2309.12288), section 2.2, and the released code.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from anyascii import anyascii
from nameparser import HumanName

UNKNOWN = re.compile(
    r"\b(i (do not|don't|don’t) know|i am not sure|i'm not sure|i’m not sure|not (publicly )?known"
    r"|no information|unknown|cannot (find|determine|provide)|can't|can’t|unable to)\b",
    re.IGNORECASE,
)
CAPITALISED = re.compile(r"[A-Z]\w*(?: [A-Z]\w*){1,4}")  # 2 to 5 words
QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"'})


def whole_name(response: str, name: str) -> bool:
    """The response is the name and nothing else, letter case counting; and the name has the form
    that was looked for, two to five words that begin with a capital (GPT-4's rule)."""
    found = response.strip().rstrip(".")
    return bool(CAPITALISED.fullmatch(found)) and found == name


def a_line(response: str, name: str) -> bool:
    """One line of the response is the name (gpt-3.5's rule)."""
    return any(line.strip() == name for line in response.splitlines())


def same_person(response: str, name: str) -> bool:
    """Some line or clause of the response names the person: accents, case, order of names, titles
    and suffixes do not matter, initials stand for names, and middle names may be left out.

    The last name must be the same, and the first name, or either its initial.
    """
    wanted = _parts(name)
    return any(_agree(_parts(piece), wanted) for piece in _pieces(response, name))


class _Parts(NamedTuple):
    first: str
    middle: tuple[str, ...]
    last: str


def _parts(text: str) -> _Parts:
    read = HumanName(anyascii(text.translate(QUOTES)).replace("-", " ").strip(" .!?\"'"))
    first, last = _plain(read.first), _plain(read.last)
    return _Parts(first, tuple(_plain(read.middle).split()), last)


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9 ]", "", text.lower()).strip()


def _agree(one: _Parts, other: _Parts) -> bool:
    if not one.last and not other.last:
        return bool(one.first) and one.first == other.first
    return one.last == other.last and _same_given(one.first, other.first) and _middles(one, other)


def _same_given(one: str, other: str) -> bool:
    if not one or not other:
        return False
    return one == other or (1 in (len(one), len(other)) and one[0] == other[0])


def _middles(one: _Parts, other: _Parts) -> bool:
    """Those of the shorter list come in the longer one, in order, perhaps as initials."""
    short, long = sorted((one.middle, other.middle), key=len)
    rest = iter(long)
    return all(any(_same_given(name, found) for found in rest) for name in short)


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
    "whole_name": whole_name,
    "a_line": a_line,
    "same_person": same_person,
}


def says_unknown(response: str) -> bool:
    """The response says that it does not know."""
    return bool(UNKNOWN.search(response.translate(QUOTES)))
