"""One record of the published symmetry data: what it must hold, and the entities recovered."""

import re
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from interp_rc.facts.relations import RelationEntry, Sentence, Symmetry, Wording, relations
from interp_rc.records.nouns import Label

COLUMNS = ("textid", "text", "pair", "relation", "symmetry", "label")
PUBLISHED_SYMMETRY: dict[str, Symmetry] = {"symmetric": "symmetric", "asymmetric": "antisymmetric"}
PUBLISHED_LABEL: dict[Symmetry, Label] = {"symmetric": "entailment", "antisymmetric": "neutral"}
# Words that the published texts have after the object; no other relation has any.
ENDING = {"equivalent_name": " for other gender"}
LONGEST = 2_000  # every way to cut two texts is tried


class Note(NamedTuple):
    """What was found where: the line is that which the record begins in."""

    line: int
    found: str


class Row(NamedTuple):
    """A record: `text` is the published premise, `pair` its hypothesis. The entities are whole,
    also where a text has lost the full stops that its last one ends with."""

    line: int
    id: str
    relation: RelationEntry
    subject: str
    object: str
    text: Sentence
    pair: Sentence


def row_of(line: int, cells: Sequence[str]) -> Row | Note:
    """The row in the cells of a record that begins in this line, or what is wrong with it."""
    if len(cells) != len(COLUMNS):
        return Note(line, f"has {len(cells)} columns, not {len(COLUMNS)}: {cells[0]!r:.60}")
    if any("\udc80" <= letter <= "\udcff" for cell in cells for letter in cell):
        return Note(line, "holds bytes that are not UTF-8")
    id, text, pair, words, symmetry, label = (
        re.sub(r"\s*\n\s*", " ", cell).strip() for cell in cells
    )
    if any(len(cell) > LONGEST for cell in (text, pair)):
        return Note(line, f"holds a text of more than {LONGEST:,} characters")
    if not id.isdecimal():
        return Note(line, f"textid {id!r:.60} is not a number")
    entry = _by_words().get(words)
    if entry is None:
        return Note(line, f"relation {words!r:.60} is unknown")
    if PUBLISHED_SYMMETRY.get(symmetry) != entry.symmetry:
        return Note(line, f"symmetry {symmetry!r:.60} is not that of {words!r}")
    if PUBLISHED_LABEL[entry.symmetry] != label:
        return Note(line, f"label {label!r:.60} is not that of a relation that is {symmetry}")
    found = _entities(text, pair, entry)
    if found is None:
        return Note(
            line, f"text and pair do not say {words!r} of two entities, exchanged: {text!r:.200}"
        )
    subject, object, first, second = found
    return Row(line, id, entry, subject, object, first, second)


@cache
def _by_words() -> dict[str, RelationEntry]:
    """The published words are those of our first wordings."""
    return {entry.wordings[0].words: entry for entry in relations().values()}


def _entities(
    text: str, pair: str, entry: RelationEntry
) -> tuple[str, str, Sentence, Sentence] | None:
    """What stands first in the text and in its pair, if each is the other's second; sentences."""
    ending = ENDING.get(entry.name, "")
    between = f" {entry.wordings[0].words} "
    wording = Wording("published", f"{{subject}}{between}{{object}}{ending}", held_out=False)

    def about(first: str, second: str, whole: str) -> Sentence | None:
        """The texts have lost the full stops at their very end."""
        for last in (second, second.rstrip(".")):
            if last and (sentence := wording.about(first, last)).text == whole:
                return sentence
        return None

    ways = []
    for subject in _heads(text, between):
        for object in _heads(pair, between):
            told, asked = about(subject, object, text), about(object, subject, pair)
            if told and asked:
                ways.append((subject, object, told, asked))
    return ways[0] if len(ways) == 1 else None


def _heads(text: str, between: str) -> list[str]:
    """What stands before the words between, wherever those are."""
    return [text[: found.start()] for found in re.finditer(f"(?={re.escape(between)})", text)
            if found.start()]  # fmt: skip
