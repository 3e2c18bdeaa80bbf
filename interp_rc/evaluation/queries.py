"""The queries of a set of facts: by fact and template, and of a group in both directions."""

from collections.abc import Sequence
from dataclasses import dataclass

from interp_rc.facts.factset import FactSet
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import (
    GROUPS,
    ORDERS,
    TOLD_IN,
    TRAINED,
    Group,
    Order,
    Query,
)

OTHER_ORDER: dict[Order, Order] = {"forward": "backward", "backward": "forward"}


class Queries:
    """Queries that can be looked up by their fact, order and template."""

    def __init__(self, queries: Sequence[Query]) -> None:
        self._about = {(query.fact, query.order, query.template): query for query in queries}

    def about(self, fact: str, order: Order, template: str) -> Query:
        """Raises DataError if the fact is not asked in that template, which is one of the order
        (templates of the two orders may have the same names)."""
        query = self._about.get((fact, order, template))
        if query is None:
            raise DataError(
                f"fact {fact} is not asked in template {template}; ask every fact in every template"
            )
        return query


def template_halves(queries: Sequence[Query]) -> dict[Order, tuple[list[str], list[str]]]:
    """In each order, the templates that facts are selected on, and those to measure on."""
    halves = {}
    for order in ORDERS:
        templates = list(dict.fromkeys(q.template for q in queries if q.order == order))
        halves[order] = templates[: len(templates) // 2], templates[len(templates) // 2 :]
    return halves


def groups_of(queries: Sequence[Query]) -> list[Group]:
    there = {query.group for query in queries}
    return [group for group in GROUPS if group in there]


@dataclass(frozen=True, slots=True)
class BothWays:
    """The queries of a group in two templates of each direction, fact i at place i of each list.

    `order` is the one that the facts were told in, which `same` asks in (`both`: forward).
    """

    order: Order
    same: tuple[list[Query], list[Query]]
    reverse: tuple[list[Query], list[Query]]

    def asked(self, order: Order) -> list[Query]:
        """In the first template of an order."""
        return (self.same if order == self.order else self.reverse)[0]


def both_ways(queries: Sequence[Query], group: Group) -> BothWays:
    """The first two templates of each order that a group of facts is asked in.

    Raises DataError for fewer than two facts, or two templates in which all are asked.
    """
    mine = [query for query in queries if query.group == group]
    facts = list(dict.fromkeys(query.fact for query in mine))
    if len(facts) < 2:
        raise DataError(f"group {group} has {len(facts)} facts, needed are 2; add facts")
    told: Order = TOLD_IN[group] or "forward"
    found: dict[Order, tuple[list[Query], list[Query]]] = {}
    for order in (told, OTHER_ORDER[told]):
        by_template: dict[str, dict[str, Query]] = {}
        for query in mine:
            if query.order == order:
                by_template.setdefault(query.template, {})[query.fact] = query
        said = [one for one in by_template.values() if len(one) == len(facts)]
        whole = [[one[fact] for fact in facts] for one in said]
        if len(whole) < 2:
            raise DataError(
                f"group {group} is asked {order} about all its facts in {len(whole)} held-out "
                "templates, needed are 2; raise facts.held_out_templates"
            )
        found[order] = whole[0], whole[1]
    return BothWays(told, found[told], found[OTHER_ORDER[told]])


def check_people(facts: FactSet, fewest: int, measure: str) -> None:
    """Raises DataError unless all three groups of people have as many facts, and every fact is
    asked in both orders."""
    for group in TRAINED:
        if len({f.id for f in facts.facts if f.group == group}) < fewest:
            raise DataError(
                f"measure {measure} needs {fewest} facts or more of group {group}; add some, or "
                "leave it out of `measures`"
            )
    check_both_orders(facts, measure)


def check_both_orders(facts: FactSet, measure: str) -> None:
    """Raises DataError unless every fact is asked in both orders."""
    for order in ORDERS:
        if {q.fact for q in facts.queries if q.order == order} != {f.id for f in facts.facts}:
            raise DataError(
                f"measure {measure} needs every fact asked in {order} order; ask it, or leave the "
                "measure out"
            )
