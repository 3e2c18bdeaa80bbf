"""Maps over two settings: published rows and own trials as the same table."""

from collections.abc import Mapping

import pandas as pd

from analysis.paper.sweeps import spreads

ROWS, COLUMNS = "training.learning_rate", "training.batch_size"


def published_map(table: pd.DataFrame, *quantities: str) -> pd.DataFrame:
    """Learning rate x batch size, mean over `quantities` and runs; fractions."""
    chosen = table[table.quantity.isin(quantities)]
    grid = chosen.pivot_table(index="learning_rate", columns="batch_size", values="value")
    return grid.sort_index().sort_index(axis=1)


def own_map(trials: pd.DataFrame, *names: str) -> pd.DataFrame:
    """The same of own trials, over seeds; empty if no trial has these results."""
    rows = [one.setting | {"value": one.mean.value} for one in spreads(trials, *names)]
    if not rows:
        return pd.DataFrame()
    grid = pd.DataFrame(rows).pivot_table(index=ROWS, columns=COLUMNS, values="value")
    return grid.sort_index().sort_index(axis=1)


def extremes(maps: Mapping[str, pd.DataFrame]) -> dict[str, tuple[float, float]]:
    """Lowest and highest rate of each map."""
    return {asked: (float(one.min().min()), float(one.max().max())) for asked, one in maps.items()}
