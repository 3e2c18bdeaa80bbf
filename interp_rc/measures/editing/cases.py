"""Which fact gets which answer, in which templates that is written, and in which it is asked."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from interp_rc.evaluation.learnt import learnt_facts
from interp_rc.evaluation.queries import OTHER_ORDER, Queries, template_halves
from interp_rc.facts.contrasts import partners
from interp_rc.facts.factset import FactSet
from interp_rc.records.nouns import GROUPS, ORDERS, TOLD_IN, TOLD_OTHERWISE, Group, Order, Query
from interp_rc.records.seeds import generator
from interp_rc.tools.editing.requests import Request

WRITTEN = 4  # templates an edit is written in
ASKED = 2  # of either half, an edit is asked in
FEWEST = 4  # facts of an order and group: two halves, each with a fact and another's answer
OTHERS = 8  # facts that should stay as they are


@dataclass(frozen=True, slots=True)
class Case:
    """Fact A -> B, told in `order`, is to be A -> B' afterwards, with the B' of fact `other`
    (itself: to be written where it is not known). `half` is 0 or 1; the `others`, which should
    stay, are of the half that this fact is not of."""

    fact: str
    other: str
    group: Group
    order: Order
    half: int
    others: tuple[str, ...]

    @property
    def cell(self) -> tuple[Order, Group]:
        return self.order, self.group


class Known(Queries):
    """Queries, and which templates are for what."""

    def __init__(self, queries: Sequence[Query]) -> None:
        super().__init__(queries)
        halves = template_halves(queries)
        self.writing = {order: halves[order][0][:WRITTEN] for order in ORDERS}
        self.asking = {order: halves[order][1][:ASKED] for order in ORDERS}

    def request(self, source: str, answer: str, order: Order) -> Request:
        """That the target of fact `answer` follows what asks for fact `source`."""
        some = [self.about(source, order, template) for template in self.writing[order]]
        targets = [self.about(answer, order, template).target for template in self.writing[order]]
        return Request(
            source,
            tuple(query.prompt for query in some),
            tuple(query.source for query in some),
            tuple(targets),
            order,
        )

    def one_way(self, case: Case) -> Request:
        """A -> B'."""
        return self.request(case.fact, case.other, case.order)

    def way_back(self, case: Case) -> Request:
        """B' -> A."""
        return self.request(case.other, case.fact, OTHER_ORDER[case.order])


def cases_of(facts: FactSet, answers: pd.DataFrame, most: int, seed: int) -> list[Case]:
    """`most` learnt facts of every group, each in the order it was told in (`both`: in both, of
    those learnt in both), with the answer of another of them."""
    found = []
    learnt_in = [set(learnt_facts(answers, facts.queries, order)) for order in ORDERS]
    learnt = set.intersection(*learnt_in)  # a fact told in one order is judged by that one twice
    for order in ORDERS:
        for group in GROUPS:
            there = [f.id for f in facts.facts if f.group == group and f.id in learnt]
            if group == TOLD_OTHERWISE[order] or TOLD_IN[group] not in (None, order):
                continue
            draw = generator(seed, group, order)
            some = draw.sample(there, min(most, len(there)))
            halves = some[: len(some) // 2], some[len(some) // 2 :]
            if len(some) < FEWEST:
                continue
            for half, mine in enumerate(halves):
                circle = partners(mine, seed)
                others = draw.sample(halves[1 - half], min(OTHERS, len(halves[1 - half])))
                found += [
                    Case(fact, circle[fact], group, order, half, tuple(others)) for fact in mine
                ]
    return found
