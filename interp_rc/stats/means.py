"""Means over facts of whatever rows of a table are told apart, as estimates."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy.typing import ArrayLike

from interp_rc.records.estimates import Estimates
from interp_rc.records.numbers import Estimate
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.intervals import bootstrap_mean, mean_share

COLUMNS = {"component": "site"}
"""Axes that tables have under another name."""


def by_fact(rows: pd.DataFrame, column: str) -> Float[np.ndarray, " fact"]:
    """The mean of a column for each fact, in the order of their names."""
    means: Float[np.ndarray, " fact"] = rows.groupby("fact")[column].mean().to_numpy(float)
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


def means_by_fact(
    table: pd.DataFrame, axes: Mapping[str, str], column: str = "effect"
) -> Iterator[tuple[dict[str, Any], Float[np.ndarray, " fact"]]]:
    """Yield for each combination that `table` has what it is of, and the mean of `column` of every
    fact; `axes` are those of the estimates, with the columns that hold them."""
    for key, part in table.groupby([*axes.values()], sort=False):
        yield dict(zip(axes, key, strict=True)), by_fact(part, column)


def add_mean(
    found: Estimates, values: ArrayLike, unit: str, seed: int, *use: str, **of: Any
) -> None:
    """Add `bootstrap_mean` of one value a fact, drawn by a seed that is derived for its `use` and
    its name."""
    sample = np.asarray(values, dtype=float)
    drawn = derive_seed(seed, *use, found.name(**of))
    found.add(bootstrap_mean(sample, unit, seed=drawn), **of)
