"""Queries by group and direction, and what is averaged over their facts."""

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from interp_rc.records.estimates import Estimates, Value, cell
from interp_rc.records.nouns import CELLS, Query, direction_of
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import evaluated
from interp_rc.stats.intervals import RATE, t_mean
from interp_rc.stats.means import add_mean


class Asked(NamedTuple):
    """All queries of a group in one order; `asked` is the direction, or the order of facts that
    were told in both."""

    group: str
    asked: str
    queries: list[Query]

    @property
    def of(self) -> dict[str, Value]:
        """The axes of its estimates."""
        return cell(self.group, self.asked)

    @property
    def name(self) -> str:
        """Its part of a result's name."""
        return f"{self.group}.{self.asked}"

    def rows(self, table: pd.DataFrame) -> pd.DataFrame:
        """Those of `table` that are about its queries."""
        return table[table["query"].isin([query.id for query in self.queries])]


def cells(queries: Sequence[Query]) -> list[Asked]:
    """Group x direction, or group x order for facts told in both, in the order of pages."""
    found: dict[tuple[str, str], list[Query]] = {}
    for query in queries:
        asked = direction_of(query.group, query.order) or query.order
        found.setdefault((query.group, asked), []).append(query)
    return [Asked(*key, found[key]) for key in CELLS if key in found]


def match_estimates(answers: pd.DataFrame, queries: Sequence[Query], seed: int) -> Estimates:
    """Exact match by group and direction, pooled, and by where the templates were seen."""
    answers, found = evaluated(answers), Estimates()
    of = {"quantity": "exact_match"}
    for direction, estimate in by_direction(answers).items():
        found.add(estimate, **of, group="pooled", direction=direction)
    for asked in cells(queries):
        rows = asked.rows(answers)
        add_mean(found, rows.groupby("fact").match.mean(), RATE, seed, **of, **asked.of)
        if rows.seen.nunique() > 1:
            for seen, part in rows.groupby("seen"):
                means = part.groupby("fact").match.mean()
                add_mean(found, means, RATE, seed, **of, seen=seen, **asked.of)
    return found


def pooled_match(rows: pd.DataFrame) -> Estimate:
    """Exact match averaged per fact, with its interval over facts."""
    return t_mean(rows.groupby("fact").match.mean().to_numpy(float), RATE)


def by_direction(table: pd.DataFrame) -> dict[str, Estimate]:
    """`same` and `reverse` over all facts told in one order; absent where nothing was asked.

    Facts whose reverse is false have no part in either: the two are of the same facts.
    """
    false = table.fact[table.direction == "false_reverse"]
    table = table[~table.fact.isin(false)]
    return {
        direction: pooled_match(rows)
        for direction in ("same", "reverse")
        if not (rows := table[table.direction == direction]).empty
    }
