"""The kinds of entities that facts are drawn about, each with what a base corpus needs of it."""

from collections.abc import Callable, Collection
from typing import NamedTuple

from interp_rc.facts.factset import ANSWERED_BY, DESCRIBED_AS, DrawnFrom
from interp_rc.facts.people import Person, people
from interp_rc.facts.questions import questions
from interp_rc.records.nouns import Group, Order, Relation


class Kind(NamedTuple):
    """`draw(seed, count, avoid)` gives entities, `told_in` their group by order (None: both)."""

    draw: Callable[[int, int, Collection[str]], list[Person]]
    relation: Relation
    told_in: dict[Order | None, Group]


KINDS: dict[DrawnFrom, Kind] = {
    "people": Kind(
        people,
        DESCRIBED_AS,
        {None: "both", "forward": "trained_forward", "backward": "trained_backward"},
    ),
    "questions": Kind(
        questions,
        ANSWERED_BY,
        {None: "realized", "forward": "trained_forward", "backward": "trained_backward"},
    ),
}
