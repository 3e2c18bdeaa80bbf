"""A fact set of the published symmetry data: its own texts, and every control about its entities.

Of two labels about names, the pairs are the published texts themselves. The others are made of the
same sentences: in our wordings, with a wrong entity of the same place in the same relation, and
with ids in place of the entities.
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import get_args

from interp_rc.facts.factset import FactSet
from interp_rc.facts.named_entities import Entities, split_of
from interp_rc.facts.published_symmetry import read_published_symmetry
from interp_rc.facts.published_symmetry_rows import Row
from interp_rc.facts.relations import Sentence, relations
from interp_rc.facts.symmetry import PARTS, of_pairs
from interp_rc.facts.symmetry_pairs import (
    Kind,
    one_other,
    spans_of,
    three_label_kinds,
    two_label_kinds,
    wordings,
)
from interp_rc.facts.validate_pairs import bare
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import EntityForm, LabelSet, Pair, PairForm, Split
from interp_rc.records.seeds import generator

# Another entity is sought so often in a relation, and then in all of them.
PATIENCE = 100


def published_symmetry(
    path: Path | str,
    seed: int = 0,
    *,
    train: int | None = None,
    test: int | None = None,
    skip_faults: bool = False,
) -> FactSet:
    """Pairs of each label set and entity form, as `symmetry` makes them: `train`, `test`, and
    `test` in held-out wordings, each as many as there are (None: all).

    Every row is in one split, by the entities that it and its relatives are about, and gives at
    most one pair of each part. Relations are as even as their rows last: they come in turn, and one
    that has no row left is replaced by that of its class with most; a part ends, still balanced,
    when a class is used up. Raises DataError as `read_published_symmetry` does.
    """
    read = read_published_symmetry(path, skip_faults=skip_faults)
    rows: dict[Split, list[Row]] = {"train": [], "test": []}
    for row, split in zip(read.rows, splits(read.rows), strict=True):
        rows[split].append(row)
    makers = {split: _Maker(rows[split], seed, split) for split in rows}
    pairs: list[Pair] = []
    for label_set, entities in product(get_args(LabelSet), get_args(EntityForm)):
        for split, held_out in PARTS:
            most = train if split == "train" else test
            made = makers[split].pairs(label_set, entities, held_out)
            pairs += [pair for _, pair in zip(range(most or len(read.rows)), made, strict=False)]
    return of_pairs(pairs, seed)


def splits(rows: Iterable[Row]) -> list[Split]:
    """Of each row: that of the first name among all entities that rows connect it with, so that no
    entity is in both and no row is lost. Spellings that differ are different entities."""
    leader: dict[str, str] = {}

    def find(name: str) -> str:
        while leader.setdefault(name, name) != name:
            leader[name] = leader[leader[name]]
            name = leader[name]
        return name

    told = [(bare(row.subject), bare(row.object)) for row in rows]
    for subject, object in told:
        first, second = sorted((find(subject), find(object)))
        leader[second] = first
    return [split_of(find(subject)) for subject, _ in told]


class _Maker:
    """Pairs from the rows of one split."""

    def __init__(self, rows: list[Row], seed: int, split: Split) -> None:
        self.seed = seed
        self.split = split
        self.every = rows
        self.rows: dict[str, list[Row]] = defaultdict(list)
        self.related: dict[str, set[str]] = defaultdict(set)
        for row in generator(seed, "published_symmetry", split).sample(rows, len(rows)):
            self.rows[row.relation.name].append(row)
            self.related[row.subject].add(row.object)
            self.related[row.object].add(row.subject)
        ids = Entities(generator(seed, "published_symmetry", "ids", split), "ids", split)
        names = sorted({name for row in rows for name in (row.subject, row.object)})
        self.ids = {name: ids.another("thing") for name in names}

    def pairs(self, label_set: LabelSet, form: EntityForm, held_out: bool) -> Iterator[Pair]:
        part = (label_set, self.split, str(held_out))  # names and ids are of the same rows
        draw = generator(self.seed, "published_symmetry", *part)
        entries = [entry for name, entry in relations().items() if self.rows[name]]
        plan = two_label_kinds(entries) if label_set == "two_labels" else three_label_kinds(entries)
        where = [label_set, form, self.split, *(["held_out"] if held_out else [])]
        for kind, row in self._planned(plan):
            first, second = self._texts(row, kind.form, label_set, form, held_out, draw)
            yield Pair(
                id=".".join(["published", *where, row.id]),
                relation=row.relation.name,
                label=kind.label,
                form=kind.form,
                entities=form,
                label_set=label_set,
                split=self.split,
                held_out=held_out,
                premise=first.text,
                hypothesis=second.text,
                spans=spans_of(first, second),
            )

    def _texts(
        self,
        row: Row,
        kind: PairForm,
        label_set: LabelSet,
        form: EntityForm,
        held_out: bool,
        draw: random.Random,
    ) -> tuple[Sentence, Sentence]:
        told = there = (row.subject, row.object)
        if kind == "swapped":
            there = (row.object, row.subject)
        elif kind == "wrong_entity":
            there = one_other(row.relation.name, told, partial(self._another, row, draw), draw)
        one, two = wordings(row.relation, label_set, held_out, draw)
        if form == "ids":
            told = (self.ids[told[0]], self.ids[told[1]])
            there = (self.ids[there[0]], self.ids[there[1]])
        elif label_set == "two_labels" and not held_out:
            return row.text, row.pair
        return one.about(*told), two.about(*there)

    def _another(self, row: Row, draw: random.Random, at: int) -> str:
        """What stands there in another row of the relation, or of any where it has too few, and is
        in no row with either entity of this one."""
        known = {row.subject, row.object} | self.related[row.subject] | self.related[row.object]
        for rows in (self.rows[row.relation.name], self.every):
            for _ in range(PATIENCE):
                other = draw.choice(rows)
                name = (other.subject, other.object)[at]
                if name not in known:
                    return name
        raise DataError(f"no wrong entity was found for row {row.id}; give a table of more rows")

    def _planned(self, plan: Iterable[Kind]) -> Iterator[tuple[Kind, Row]]:
        """A row for each planned pair, until a class is used up."""
        left = {name: list(rows) for name, rows in self.rows.items()}
        for kind in plan:
            name = kind.relation.name
            if not left[name]:
                name = max(
                    (other for other in left
                     if relations()[other].symmetry == kind.relation.symmetry),
                    key=lambda other: len(left[other]),
                )  # fmt: skip
                if not left[name]:
                    return
            yield kind, left[name].pop()
