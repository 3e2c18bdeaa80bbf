"""What the judges of the main table forgot, over draws."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from interp_rc.measures.symmetry.estimates import NAME
from interp_rc.measures.symmetry.forgetting import Forgetting, PerItem
from interp_rc.measures.symmetry.forgetting_numbers import (
    forgetting_estimates,
    forgetting_rows,
    similarity_rows,
)
from interp_rc.measures.symmetry.kept import Kept
from interp_rc.measures.symmetry.plan import Trial
from interp_rc.records.estimates import Estimates
from interp_rc.records.numbers import Estimate
from interp_rc.stats.intervals import RATE, rate_over_seeds, t_mean

FORGETTING, SIMILARITY = "evaluation/symmetry_forgetting", "evaluation/symmetry_similarity"
Done = Sequence[tuple[Trial, Kept]]


def forgotten(done: Done, seed: int) -> Estimates:
    """The numbers of `forgetting_estimates`, each the mean over draws with their t interval (n
    counts draws); where there is one draw, or all are the same, over the items of the first."""
    by_method: dict[str, list[Estimates]] = {}
    for trial, items in _items(done):
        found = forgetting_estimates(items, trial.method, seed)
        by_method.setdefault(trial.method, []).append(found)
    return Estimates(
        NAME,
        (
            row._replace(estimate=over_draws([draw[row.name] for draw in draws]))
            for draws in by_method.values()
            for row in draws[0].rows
        ),
    )


def over_draws(found: Sequence[Estimate]) -> Estimate:
    """One number of every draw; draws without it (a correlation of what is constant) are left
    out."""
    values = np.array([one.value for one in found if one.value is not None])
    if len(values) > 1 and found[0].unit == RATE:
        return rate_over_seeds(values, found[0].n)
    if len(values) < 2 or np.ptp(values) == 0:
        return next((one for one in found if one.value is not None), found[0])
    return t_mean(values, found[0].unit)


def forgetting_tables(done: Done, given: Forgetting) -> dict[str, pd.DataFrame]:
    """`evaluation/symmetry_forgetting.parquet` and `…_similarity.parquet`: the rows of
    `forgetting_rows` and `similarity_rows`, with the draw of the judge."""
    made: dict[str, list[pd.DataFrame]] = {FORGETTING: [], SIMILARITY: []}
    for trial, items in _items(done):
        rows = forgetting_rows(given, items, trial.method, trial.seed)
        made[FORGETTING].append(rows.assign(draw=trial.draw))
        pairs = similarity_rows(items, trial.method, trial.seed)
        made[SIMILARITY].append(pairs.assign(draw=trial.draw))
    return {name: pd.concat(parts, ignore_index=True) for name, parts in made.items() if parts}


def _items(done: Done) -> list[tuple[Trial, dict[str, PerItem]]]:
    return [
        (trial, {name: np.array(values) for name, values in found["forgetting"].items()})
        for trial, found in done
        if "forgetting" in found
    ]
