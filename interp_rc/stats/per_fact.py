"""From a long table to estimates: each of the mean over facts."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from interp_rc.records.estimates import Estimates
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.intervals import bootstrap_mean


def means_by_fact(
    table: pd.DataFrame, axes: Mapping[str, str], column: str = "effect"
) -> Iterator[tuple[dict[str, Any], Float[np.ndarray, " fact"]]]:
    """Yield for each combination that `table` has what it is of, and the mean of `column` of every
    fact; `axes` are those of the estimates, with the columns that hold them."""
    for key, part in table.groupby([*axes.values()], sort=False):
        values = part.groupby("fact")[column].mean().to_numpy(float)
        yield dict(zip(axes, key, strict=True)), values


def add_mean(
    found: Estimates, values: Float[np.ndarray, " fact"], unit: str, seed: int, **of: Any
) -> None:
    """Add `bootstrap_mean` of one value a fact, drawn by a seed that is derived from the name."""
    found.add(bootstrap_mean(values, unit, seed=derive_seed(seed, found.name(**of))), **of)
