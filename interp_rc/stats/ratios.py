"""The ratio of two means of the same facts, with its interval."""

from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import stats

from interp_rc.records.numbers import Estimate
from interp_rc.stats.bootstrap import LEVEL, bca
from interp_rc.stats.intervals import FEWEST_FOR_BOOTSTRAP, bootstrap_mean
from interp_rc.stats.samples import checked_differences, checked_sample

UNIT = "ratio"


def ratio_of_means(
    above: Float[np.ndarray, " cluster"],
    below: Float[np.ndarray, " cluster"],
    *,
    seed: int,
    draws: int = 2000,
) -> Estimate:
    """mean(above) / mean(below), fact by fact in pairs: facts are resampled whole (BCa).

    With fewer than 20 facts the interval is Fieller's (1954, JRSS B 16, 175-185): those ratios r
    for which the mean of above - r · below is not told from zero by t. Nothing but n where the
    interval of the mean below does not lie above zero: there is nothing then to divide by. No
    interval where all facts have the same ratio.
    Raises StatsError for fewer than two pairs, unequal lengths or non-finite values.
    """
    checked_differences(above, below)
    one, other = checked_sample(above), checked_sample(below)
    base = bootstrap_mean(other, UNIT, seed=seed, draws=draws)
    if not (base.low if base.low is not None else other.mean()) > 0:
        return Estimate(None, None, None, one.size, UNIT)
    value = float(one.mean() / other.mean())
    if not checked_differences(one, value * other).any():
        return Estimate(value, None, None, one.size, UNIT)
    if one.size < FEWEST_FOR_BOOTSTRAP:
        return Estimate(value, *_fieller(one, other), one.size, UNIT)

    def ratio(a: Any, b: Any, axis: int) -> Any:
        return a.mean(axis) / b.mean(axis)

    return Estimate(value, *bca((one, other), ratio, seed=seed, draws=draws), one.size, UNIT)


def _fieller(
    above: Float[np.ndarray, " cluster"], below: Float[np.ndarray, " cluster"]
) -> tuple[float, float]:
    """The roots of (mean(above) - r mean(below))² = t² var(above - r below) / n, which has two:
    the mean below is told from zero by the same t."""
    t = stats.t.ppf((1 + LEVEL) / 2, above.size - 1)
    covariance = np.cov(above, below) * t**2 / above.size
    square = below.mean() ** 2 - covariance[1, 1]
    half = above.mean() * below.mean() - covariance[0, 1]
    rest = above.mean() ** 2 - covariance[0, 0]
    spread = float(np.sqrt(max(half**2 - square * rest, 0.0)))
    return float((half - spread) / square), float((half + spread) / square)
