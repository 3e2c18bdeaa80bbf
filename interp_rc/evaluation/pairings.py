"""Which queries of a subset say a fact as it was told, once more, and the other way round."""

from collections.abc import Sequence
from dataclasses import dataclass

from interp_rc.facts.factset import FactSet
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import ORDERS, SUBSETS, TOLD_IN, TRAINED, Order, Query, Subset


@dataclass(frozen=True, slots=True)
class Asked:
    """Queries in held-out templates, fact i at place i of each list.

    `order` is the one the facts were told in (`both`: forward). `told` and `paraphrase` are the
    first and second template of that order, `reverse` and `reverse_again` those of the other.
    """

    order: Order
    told: list[Query]
    paraphrase: list[Query]
    reverse: list[Query]
    reverse_again: list[Query]


def subsets_of(queries: Sequence[Query]) -> list[Subset]:
    there = {query.subset for query in queries}
    return [subset for subset in SUBSETS if subset in there]


def asked(queries: Sequence[Query], subset: Subset) -> Asked:
    """Raises DataError for fewer than two facts, or two templates in which all are asked."""
    mine = [query for query in queries if query.subset == subset]
    facts = list(dict.fromkeys(query.fact for query in mine))
    if len(facts) < 2:
        raise DataError(f"subset {subset} has {len(facts)} facts, needed are 2; add facts")
    order: Order = TOLD_IN[subset] or "forward"
    lists = []
    for one in (order, *(other for other in ORDERS if other != order)):
        by_template: dict[str, dict[str, Query]] = {}
        for query in mine:
            if query.order == one:
                by_template.setdefault(query.template, {})[query.fact] = query
        whole = [said for said in by_template.values() if len(said) == len(facts)]
        if len(whole) < 2:
            raise DataError(
                f"subset {subset} is asked {one} about all its facts in {len(whole)} held-out "
                "templates, needed are 2; raise facts.held_out_templates"
            )
        lists += [[said[fact] for fact in facts] for said in whole[:2]]
    return Asked(order, *lists)


def check_people(facts: FactSet, fewest: int, measure: str) -> None:
    """Raises DataError unless all three subsets of people have as many facts, and every fact is
    asked in both orders."""
    for subset in TRAINED:
        if len({f.id for f in facts.facts if f.subset == subset}) < fewest:
            raise DataError(
                f"measure {measure} needs {fewest} facts or more told in "
                f"{subset.replace('_', ' ')}; add some, or leave it out of `measures`"
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
