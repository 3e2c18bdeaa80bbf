"""Power by simulation: could a design have said anything but "inconclusive"?"""

from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy import stats

from interp_rc.records.errors import StatsError
from interp_rc.records.numbers import Estimate
from interp_rc.stats.bootstrap import LEVEL
from interp_rc.stats.equivalence import non_superiority_t, tost_t
from interp_rc.stats.intervals import RATE
from interp_rc.stats.samples import checked_margin

Design = Literal["paired_t", "non_superiority", "tost"]


def power(
    design: Design,
    n: int,
    *,
    mean: float,
    sd: float,
    seed: int,
    margin: float | None = None,
    alpha: float = 0.05,
    simulations: int = 2000,
) -> Estimate:
    """Share of simulated samples in which the test rejects at `alpha`; n counts simulations.

    Samples are `n` normal values (differences, one per cluster) with the true `mean` and `sd`, in
    the unit of `margin`. The interval is Clopper-Pearson's and covers the simulation error.
    Raises StatsError for n < 2, sd <= 0, alpha outside (0, 1), or a margin that is missing, not
    positive, or given to `paired_t`, which has none.
    """
    _check(design, n, sd, margin, alpha)
    samples = np.random.default_rng(seed).normal(mean, sd, (simulations, n))
    rejections = int(np.count_nonzero(_p_values(design, samples, margin) < alpha))
    interval = stats.binomtest(rejections, simulations).proportion_ci(LEVEL, method="exact")
    share = rejections / simulations
    return Estimate(share, float(interval.low), float(interval.high), simulations, RATE)


def smallest_n(
    design: Design,
    wanted: float,
    *,
    mean: float,
    sd: float,
    seed: int,
    margin: float | None = None,
    alpha: float = 0.05,
    simulations: int = 2000,
    largest: int = 4096,
) -> int | None:
    """Smallest number of clusters with simulated power of at least `wanted`.

    Null if `largest` clusters do not reach it, as when the true mean lies beyond the margin.
    Raises StatsError as `power` does, and for a wanted power outside (0, 1).
    """
    if not 0 < wanted < 1:
        raise StatsError(f"found a wanted power of {wanted}; give a fraction such as 0.8")

    def enough(n: int) -> bool:
        found = power(
            design,
            n,
            mean=mean,
            sd=sd,
            seed=seed,
            margin=margin,
            alpha=alpha,
            simulations=simulations,
        )
        return found.value is not None and found.value >= wanted

    high = 2
    while not enough(high):
        if high >= largest:
            return None
        high = min(2 * high, largest)
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _check(design: Design, n: int, sd: float, margin: float | None, alpha: float) -> None:
    if n < 2 or not sd > 0 or not 0 < alpha < 1:
        raise StatsError(
            f"found n = {n}, sd = {sd}, alpha = {alpha}; need n >= 2, sd > 0 and alpha in (0, 1)"
        )
    if design == "paired_t":
        if margin is not None:
            raise StatsError("paired_t has no margin; leave it out or choose another design")
    elif margin is None:
        raise StatsError(f"{design} needs a margin, fixed beforehand in the unit of the mean")
    else:
        checked_margin(margin)


def _p_values(
    design: Design, samples: Float[np.ndarray, "simulation cluster"], margin: float | None
) -> Float[np.ndarray, " simulation"]:
    if margin is None:
        return np.asarray(stats.ttest_1samp(samples, 0.0, axis=-1).pvalue)
    t_and_p = tost_t if design == "tost" else non_superiority_t
    return t_and_p(samples, margin)[1]
