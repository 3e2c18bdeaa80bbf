"""Fictitious people: a name and a description each, from lists and a small grammar."""

import random
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any, Literal

from interp_rc.records.errors import DataError
from interp_rc.records.packaged import packaged
from interp_rc.records.seeds import generator
from interp_rc.records.strict_yaml import read_yaml

Form = Literal["noun", "past", "gerund"]
SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Person:
    """`noun` is the description ("the founder of X"); `past` and `gerund` say the same."""

    name: str
    noun: str
    past: str
    gerund: str

    def description(self, form: Form) -> str:
        return {"noun": self.noun, "past": self.past, "gerund": self.gerund}[form]


@cache
def _source(file: str) -> dict[str, Any]:
    content = read_yaml(packaged("data") / "people" / file)
    if not isinstance(content, dict):
        raise DataError("found no mapping; install interp-rc again", file=file)
    return content


def names() -> dict[str, list[str]]:
    """The `first` and the `last` names that people are made of."""
    return _source("names.yaml")


def _draw_person(draw: random.Random) -> Person:
    names, grammar = _source("names.yaml"), _source("descriptions.yaml")
    role = draw.choice(grammar["roles"])
    pattern = draw.choice(grammar["works"][role["work"]])
    work = SLOT.sub(lambda slot: draw.choice(grammar["slots"][slot[1]]), pattern)
    noun, past, gerund = (role[form].replace("{work}", work) for form in ("noun", "past", "gerund"))
    name = f"{draw.choice(names['first'])} {draw.choice(names['last'])}"
    return Person(name, noun, past, gerund)


def people_stream(seed: int, avoid: Collection[str] = ()) -> Iterator[Person]:
    """Endless distinct people; no name and no description is one of `avoid` or comes twice."""
    draw = generator(seed, "people")
    taken = set(avoid)
    failures = 0
    while failures < 10_000:
        person = _draw_person(draw)
        if person.name in taken or person.noun in taken:
            failures += 1
            continue
        failures = 0
        taken |= {person.name, person.noun}
        yield person
    raise DataError(f"the name lists and the grammar are used up after {len(taken) // 2} people")


def people(seed: int, count: int, avoid: Collection[str] = ()) -> list[Person]:
    """The first `count` people of the seed's stream. Raises DataError if there are not so many."""
    there = len(names()["first"]) * len(names()["last"])
    if count > there:
        raise DataError(
            f"{count:,} people were asked for, and there are {there:,} names; ask for fewer"
        )
    return list(islice(people_stream(seed, avoid), count))
