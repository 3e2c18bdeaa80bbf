"""What a model is asked while it learns: a fixed sample of queries, and the same ones shuffled."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Annotated, NamedTuple

from pydantic import Field

from interp_rc.records.errors import DataError
from interp_rc.records.limits import MOST_COUNT
from interp_rc.records.nouns import Query
from interp_rc.records.options import Options, Positive
from interp_rc.records.seeds import generator

ATTEMPTS = 100


class Tracing(Options):
    """Ask before the first step and then `every` so many epochs, about `facts` facts a group
    (null: all), in `templates` templates an order."""

    every: Annotated[float, Field(ge=0.01)] = 1.0
    templates: Positive = 2
    facts: Annotated[int, Field(ge=2, le=MOST_COUNT)] | None = None


class Asked(NamedTuple):
    """A query with its own target (`correct`) or with that of another fact (`shuffled`)."""

    query: Query
    set: str
    target: str


def sample(queries: Sequence[Query], options: Tracing, seed: int) -> list[Asked]:
    """The first queries of each fact in each order, each also with the target of another fact.

    Which fact that is does not depend on order and template: each target of a group is used once
    (the paper's shuffled control), so that what a group's targets have in common cancels.
    Raises DataError if the facts of a group cannot be told apart by their targets.
    """
    by_fact: dict[str, dict[str, dict[str, list[Query]]]] = defaultdict(dict)
    for query in queries:
        orders = by_fact[query.group].setdefault(query.fact, defaultdict(list))
        if len(orders[query.order]) < options.templates:
            orders[query.order].append(query)
    found = []
    for group, facts in by_fact.items():
        chosen = list(facts)
        if options.facts is not None and options.facts < len(chosen):
            drawn = set(generator(seed, "trace", group).sample(chosen, options.facts))
            chosen = [fact for fact in chosen if fact in drawn]
        other = _derangement(chosen, _differing(facts), group, seed)
        for fact in chosen:
            for order, own in facts[fact].items():
                found += [Asked(query, "correct", query.target) for query in own]
                found += [
                    Asked(query, "shuffled", another.target)
                    for query, another in zip(own, facts[other[fact]][order], strict=True)
                ]
    return found


def _differing(facts: dict[str, dict[str, list[Query]]]) -> Callable[[str, str], bool]:
    """Whether two facts are asked alike, with another target in every query."""

    def differ(one: str, other: str) -> bool:
        first, second = facts[one], facts[other]
        return first.keys() == second.keys() and all(
            len(first[order]) == len(second[order])
            and all(a.target != b.target for a, b in zip(first[order], second[order], strict=True))
            for order in first
        )

    return differ


def _derangement(
    facts: Sequence[str], differ: Callable[[str, str], bool], group: str, seed: int
) -> dict[str, str]:
    """Every fact to another one, each used once."""
    for attempt in range(ATTEMPTS):
        ring = generator(seed, "derangement", group, attempt).sample(facts, len(facts))
        pairs = dict(zip(ring, [*ring[1:], *ring[:1]], strict=True))
        if all(differ(*pair) for pair in pairs.items()):
            return pairs
    raise DataError(
        f"training.trace shuffles targets among the facts of group {group}, of which there are "
        f"{len(facts)}, and some have the same target or are asked in other orders; add facts, or "
        "set training.trace to null"
    )
