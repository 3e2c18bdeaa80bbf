"""Which pairs of a fact set a trial is trained on and tested with."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, get_args

from interp_rc.facts.relations import relations
from interp_rc.records.nouns import EntityForm, LabelSet, Pair, Split
from interp_rc.records.seeds import generator


class Cell(NamedTuple):
    """Pairs of one kind of labels about one kind of entities."""

    label_set: LabelSet
    entities: EntityForm

    def __str__(self) -> str:
        return f"{self.label_set} × {self.entities}"


CELLS = [Cell(labels, form) for labels in get_args(LabelSet) for form in get_args(EntityForm)]
FIRST = CELLS[0]
"""The published form: two labels, names."""


def symmetry_of(relation: str) -> str:
    """`symmetric` or `antisymmetric` by the project's table; `unknown` for what is not in it."""
    entry = relations().get(relation)
    return entry.symmetry if entry else "unknown"


class Pools:
    """The pairs of a fact set, by cell, split and wording."""

    def __init__(self, pairs: Iterable[Pair]) -> None:
        self._pairs: dict[tuple[Cell, Split, bool], list[Pair]] = defaultdict(list)
        for pair in pairs:
            cell = Cell(pair.label_set, pair.entities)
            self._pairs[cell, pair.split, pair.held_out].append(pair)

    def choose(self, cell: Cell, split: Split, *, held_out: bool = False) -> list[Pair]:
        return self._pairs.get((cell, split, held_out), [])

    @property
    def cells(self) -> list[Cell]:
        """Those with something to train on and to test with."""
        return [c for c in CELLS if self.choose(c, "train") and self.choose(c, "test")]

    def relations(self, cell: Cell) -> list[str]:
        """Those that are both trained on and tested with."""
        tested = {pair.relation for pair in self.choose(cell, "test")}
        return sorted({pair.relation for pair in self.choose(cell, "train")} & tested)

    def train(self, cell: Cell, size: int, seed: int, draw: int, left_out: str = "") -> list[Pair]:
        """The first `size` of a draw's stream, without a relation."""
        kept = [pair for pair in self.choose(cell, "train") if pair.relation != left_out]
        return stream(kept, seed, *cell, draw)[:size]

    def test(self, cell: Cell, size: int, *, held_out: bool = False, about: str = "") -> list[Pair]:
        """Evenly chosen, and the same for every trial that asks for as many."""
        found = self.choose(cell, "test", held_out=held_out)
        return evenly([pair for pair in found if about in ("", pair.relation)])[:size]


def stream(pairs: Iterable[Pair], seed: int, *use: str | int) -> list[Pair]:
    """All pairs in a random order whose every beginning is as even as can be (`evenly`)."""
    shuffled = list(pairs)
    generator(seed, "draw", *use).shuffle(shuffled)
    return evenly(shuffled)


KEYS: list[Callable[[Pair], str]] = [
    lambda pair: pair.label,
    lambda pair: pair.form,
    lambda pair: symmetry_of(pair.relation),
    lambda pair: pair.relation,
]


def evenly(pairs: Sequence[Pair], keys: Sequence[Callable[[Pair], str]] = KEYS) -> list[Pair]:
    """Labels in turn; within a label forms in turn, then the classes of relations, and within a
    class the relations. What has run out is passed over. Order is kept within a relation, and
    turns go by first appearance."""
    if not keys:
        return list(pairs)
    groups: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        groups[keys[0](pair)].append(pair)
    return list(_in_turn([evenly(group, keys[1:]) for group in groups.values()]))


def _in_turn(groups: Sequence[Sequence[Pair]]) -> Iterator[Pair]:
    for place in range(max(map(len, groups), default=0)):
        yield from (group[place] for group in groups if place < len(group))
