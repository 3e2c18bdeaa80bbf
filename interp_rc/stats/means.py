"""Means over facts of whatever rows of a table are told apart, as estimates."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from interp_rc.records.estimates import Estimates
from interp_rc.records.numbers import Estimate
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.intervals import bootstrap_mean, mean_share

COLUMNS = {"group": "subset", "component": "site"}
"""Axes that tables have under another name."""


def by_fact(rows: pd.DataFrame, column: str) -> np.ndarray:
    """The mean of a column for each fact, in the order of their names."""
    means: np.ndarray = rows.groupby("fact")[column].mean().to_numpy(float)
    return means


def mean_of_facts(rows: pd.DataFrame, column: str, unit: str, *, seed: int) -> Estimate:
    """The mean over facts of their means; a `share` is measured rather than counted (`mean_share`,
    whose unit is "fraction"), and may be out of range by rounding."""
    if unit == "share":
        return mean_share(by_fact(rows, column).clip(0, 1), seed=seed)
    return bootstrap_mean(by_fact(rows, column), unit, seed=seed)


def add_means(
    found: Estimates,
    table: pd.DataFrame,
    axes: str,
    column: str,
    unit: str,
    seed: int,
    use: Sequence[str] = (),
    **of: Any,
) -> None:
    """Add `mean_of_facts` of `column` for every combination of values on `axes`, a line of names.

    Axes with a value in `of` are the same for all; the others are columns of `table`, of which null
    is none. Rows that are all structural zeros are left out. The seed of an interval is derived for
    its `use`: without one, for the values joined by dots.
    """
    told_apart = [axis for axis in axes.split() if axis not in of]
    columns = [COLUMNS.get(axis, axis) for axis in told_apart]
    for key, part in table.groupby(columns, sort=False, dropna=False):
        if "structural_zero" in part and part.structural_zero.all():
            continue
        values = of | dict(zip(told_apart, key, strict=True))
        row = {axis: values[axis] for axis in axes.split() if not pd.isna(values[axis])}
        words = use or [".".join(map(str, row.values()))]
        found.add(mean_of_facts(part, column, unit, seed=derive_seed(seed, *words)), **row)
