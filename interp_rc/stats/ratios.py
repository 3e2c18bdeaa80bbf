"""The mean over items that come in clusters of unlike size: a ratio of sums."""

import numpy as np
from jaxtyping import Float
from scipy import stats

from interp_rc.records.errors import StatsError
from interp_rc.records.numbers import Estimate
from interp_rc.stats.intervals import FEWEST_FOR_BOOTSTRAP, LEVEL, RATE
from interp_rc.stats.samples import checked_sample, is_constant


def bootstrap_ratio(
    sums: Float[np.ndarray, " cluster"],
    counts: Float[np.ndarray, " cluster"],
    unit: str,
    *,
    seed: int,
    draws: int = 2000,
) -> Estimate:
    """Sum over counts with a cluster-bootstrap interval (BCa; Efron 1987, JASA 82, 171-185).

    `sums` holds what the items of each cluster add up to, `counts` how many they are (or weigh).
    No interval where every cluster has the same mean, or there are fewer than 20.

    Raises StatsError for empty, unequal or non-finite input, and counts that are not positive.
    """
    total, weight = checked_sample(sums), checked_sample(counts)
    if total.size != weight.size:
        raise StatsError(f"found {total.size} sums and {weight.size} counts; give one of each")
    if weight.min() <= 0:
        raise StatsError(f"found a count of {weight.min():g}; leave empty clusters out")
    value = float(total.sum() / weight.sum())
    low = high = None
    if total.size >= FEWEST_FOR_BOOTSTRAP and not is_constant(total / weight):
        found = stats.bootstrap(
            (total, weight),
            _ratio,
            paired=True,
            vectorized=True,
            confidence_level=LEVEL,
            n_resamples=draws,
            batch=500,
            method="BCa",
            rng=np.random.default_rng(seed),
        ).confidence_interval
        low, high = float(found.low), float(found.high)
        if unit == RATE:
            low, high = max(low, 0.0), min(high, 1.0)
    return Estimate(value, low, high, total.size, unit)


def _ratio(sums: np.ndarray, counts: np.ndarray, axis: int = -1) -> np.ndarray:
    found: np.ndarray = sums.sum(axis) / counts.sum(axis)
    return found
