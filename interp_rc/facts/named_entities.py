"""Invented entities of every kind that the table of relations speaks of, and ids in their place."""

import random
from dataclasses import dataclass
from functools import cache, cached_property
from math import prod
from typing import Any
from zlib import crc32

from interp_rc.facts.people import names
from interp_rc.facts.relations import EntityKind
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import EntityForm, Split
from interp_rc.records.packaged import packaged
from interp_rc.records.strict_yaml import read_yaml

# Wikidata's ids of items are a Q and a number; nearly all have five to eight digits.
ID_NUMBERS = range(10_000, 100_000_000)
# Drawing goes on until a name is new; so often in a row means that there are hardly any left.
PATIENCE = 1_000


@dataclass(frozen=True)
class Names:
    """All names of a kind: one word of each list, joined. Distinct choices spell distinct names."""

    lists: tuple[tuple[str, ...], ...]

    @cached_property
    def size(self) -> int:
        return prod(map(len, self.lists))

    def name(self, number: int) -> str:
        """The name of a number below `size`."""
        words = []
        for choices in self.lists:
            number, choice = divmod(number, len(choices))
            words.append(choices[choice])
        return "".join(words)


@cache
def names_of(kind: EntityKind) -> Names:
    """A person has a given name and a coined surname, a given name is coined of four syllables,
    and all else is a coined word with one that says what it is."""
    source = _source()
    capital = tuple(start.capitalize() for start in source["starts"])
    middles, ends = tuple(source["middles"]), tuple(source["ends"])
    if kind == "person":
        return Names((tuple(f"{first} " for first in names()["first"]), capital, middles, ends))
    if kind == "given_name":
        return Names((capital, middles, middles, ends))
    starts = tuple(source["starts"]) if kind in ("concept", "field") else capital
    return Names((starts, middles, ends, tuple(f" {word}" for word in source["words"][kind])))


@cache
def _source() -> dict[str, Any]:
    path = packaged("data") / "relations" / "entities.yaml"
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise DataError("found no mapping; install interp-rc again", file=path)
    return content


def split_of(name: str) -> Split:
    """Every name belongs to one split, whichever seed or stream it is drawn in."""
    return "test" if crc32(name.encode()) % 2 else "train"


class Entities:
    """Entities of one split drawn in turn; none comes twice from one of these.

    Holds the numbers of what it has drawn (about 100 bytes each) and no text.
    """

    def __init__(self, draw: random.Random, form: EntityForm, split: Split) -> None:
        self._draw = draw
        self._form = form
        self._split = split
        self._taken: dict[str, set[int]] = {}

    def another(self, kind: EntityKind) -> str:
        """Raises DataError once nearly all names of the kind are used up."""
        of = "id" if self._form == "ids" else kind
        taken = self._taken.setdefault(of, set())
        for _ in range(PATIENCE):
            number, name = self._any(kind)
            if number not in taken and split_of(name) == self._split:
                taken.add(number)
                return name
        raise DataError(
            f"the names of kind {of} are used up after {len(taken)}; ask for fewer pairs"
        )

    def another_at(self, of: tuple[EntityKind, EntityKind], at: int) -> str:
        """One that can stand first (0) or second (1) in a relation of these kinds."""
        return self.another(of[at])

    def _any(self, kind: EntityKind) -> tuple[int, str]:
        if self._form == "ids":
            number = self._draw.randrange(ID_NUMBERS.start, ID_NUMBERS.stop)
            return number, f"Q{number}"
        of = names_of(kind)
        number = self._draw.randrange(of.size)
        return number, of.name(number)
