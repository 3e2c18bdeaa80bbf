"""Queries by subset and direction, and what is averaged over their facts."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from interp_rc.evaluation.pooled import by_direction
from interp_rc.records.nouns import ORDERS, SUBSETS, Query, direction_of
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import evaluated
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.intervals import bootstrap_mean


class Asked(NamedTuple):
    """All queries of one subset in one order; `name` is their part of a result's name."""

    name: str
    queries: list[Query]


def cells(queries: Sequence[Query]) -> list[Asked]:
    """Subset x direction, or subset x order for facts told in both."""
    found = []
    for subset in SUBSETS:
        for order in ORDERS:
            chosen = [q for q in queries if q.subset == subset and q.order == order]
            if chosen:
                found.append(Asked(f"{subset}.{direction_of(subset, order) or order}", chosen))
    return found


def match_estimates(
    answers: pd.DataFrame, queries: Sequence[Query], seed: int
) -> dict[str, Estimate]:
    """Exact match by subset and direction, pooled, and by where the templates were seen."""
    asked = evaluated(answers).set_index("query")
    found: dict[str, Estimate] = {}

    def put(name: str, values: pd.Series) -> None:
        found[name] = over_facts(name, values, "fraction", seed)

    for direction, estimate in by_direction(asked, seed, "exact_match").items():
        found[f"exact_match.pooled.{direction}"] = estimate
    for cell in cells(queries):
        rows = asked.loc[[q.id for q in cell.queries]]
        put(f"exact_match.{cell.name}", rows.groupby("fact").match.mean())
        if rows.seen.nunique() > 1:
            for seen, part in rows.groupby("seen"):
                put(f"exact_match_{seen}.{cell.name}", part.groupby("fact").match.mean())
    return found


def over_facts(name: str, values: pd.Series | np.ndarray, unit: str, seed: int) -> Estimate:
    """The mean of one value a fact, with its bootstrap interval."""
    sample = np.asarray(values, dtype=float)
    return bootstrap_mean(sample, unit, seed=derive_seed(seed, "bootstrap", name))
