"""Rates over the facts of several subsets together."""

import numpy as np
import pandas as pd

from interp_rc.records.numbers import Estimate
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.intervals import bootstrap_mean


def pooled_match(rows: pd.DataFrame, seed: int, *use: str) -> Estimate:
    """Exact match averaged per fact, with its interval over facts; `use` names the bootstrap."""
    means = np.asarray(rows.groupby("fact").match.mean(), dtype=float)
    return bootstrap_mean(means, "fraction", seed=derive_seed(seed, "report", *use))


def by_direction(table: pd.DataFrame, seed: int, *use: str) -> dict[str, Estimate]:
    """`same` and `reverse` over all facts told in one order; absent where nothing was asked.

    Facts whose reverse is false have no part in either: the two are of the same facts.
    """
    false = table.fact[table.direction == "false_reverse"]
    table = table[~table.fact.isin(false)]
    return {
        direction: pooled_match(rows, seed, *use, direction)
        for direction in ("same", "reverse")
        if not (rows := table[table.direction == direction]).empty
    }
