"""The same number from several seeds: its mean, with the interval that seeds allow."""

from collections.abc import Sequence

import pandas as pd

from interp_rc.records.numbers import Estimate
from interp_rc.stats.intervals import RATE, rate_over_seeds, t_mean


def mean_over_seeds(rows: pd.DataFrame) -> Estimate:
    """Mean of `value` with the t interval of the seeds' values; n counts seeds.

    `rows` has a row a seed with `value`, `low`, `high`, `n` (facts) and `unit`; seeds without a
    value are left out. One seed keeps its own interval over facts. That of a rate is no narrower
    than the facts of all seeds allow (`rate_over_seeds`).
    """
    unit = str(rows.unit.iloc[0])
    found = rows.dropna(subset="value")
    if found.empty:
        return Estimate(None, None, None, 0, unit)
    if len(found) == 1:
        one = found.iloc[0]
        low, high = (None if pd.isna(one.get(end)) else float(one[end]) for end in ("low", "high"))
        return Estimate(float(one["value"]), low, high, int(one["n"]), unit)
    values = found.value.to_numpy(float)
    return rate_over_seeds(values, int(found.n.sum())) if unit == RATE else t_mean(values, unit)


def estimates_by_cell(
    table: pd.DataFrame, axes: Sequence[str]
) -> dict[tuple[object, ...], dict[str, Estimate]]:
    """Over the seeds of each combination of `axes`, in the table's order: name -> estimate."""
    cells: dict[tuple[object, ...], dict[str, Estimate]] = {}
    keys = [*axes, "name"]
    for (*cell, name), rows in table.groupby(keys, sort=False, dropna=False):
        cells.setdefault(tuple(cell), {})[str(name)] = mean_over_seeds(rows)
    return cells
