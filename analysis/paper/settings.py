"""Maps over two settings: published rows and own trials as the same table."""

from collections.abc import Mapping

import pandas as pd

from analysis.paper.sweeps import axes, spreads


def published_map(table: pd.DataFrame, *quantities: str) -> pd.DataFrame:
    """Learning rate x batch size, mean over `quantities` and runs; fractions."""
    chosen = table[table.quantity.isin(quantities)]
    grid = chosen.pivot_table(index="learning_rate", columns="batch_size", values="value")
    return grid.sort_index().sort_index(axis=1)


def own_map(trials: pd.DataFrame, *names: str) -> pd.DataFrame | None:
    """The same of own trials, over seeds; null unless exactly two settings were varied as numbers.

    Rows are the learning rate if that was varied, else the first setting.
    """
    varied = [axis for axis in axes(trials) if axis != "seed"]
    if len(varied) != 2 or not all(pd.api.types.is_numeric_dtype(trials[a]) for a in varied):
        return None
    varied.sort(key=lambda axis: "learning_rate" not in axis)
    rows = [one.setting | {"value": one.mean.value} for one in spreads(trials, *names)]
    if not rows:
        return None
    grid = pd.DataFrame(rows).pivot_table(index=varied[0], columns=varied[1], values="value")
    return grid.sort_index().sort_index(axis=1)


def extremes(maps: Mapping[str, pd.DataFrame]) -> dict[str, tuple[float, float]]:
    """Lowest and highest rate of each map."""
    return {asked: (float(one.min().min()), float(one.max().max())) for asked, one in maps.items()}
