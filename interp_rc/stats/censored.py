"""The median of values of which some are only known to lie beyond what was tried."""

import numpy as np
from jaxtyping import Float
from scipy import stats

from interp_rc.records.errors import StatsError
from interp_rc.records.numbers import Estimate
from interp_rc.stats.bootstrap import LEVEL


def censored_median(values: Float[np.ndarray, " cluster"], unit: str) -> Estimate:
    """Median and the interval between two order statistics; infinite values are censored ones.

    The interval is distribution-free: it misses the median where so many values fall on one side
    as a fair coin would let fall with probability 2.5 % at most, so it covers 95 % or more (of ten
    values it runs from the second to the ninth). With fewer than six there is none. A median or
    an end that is censored is null. Of an even number the median is between the middle two.

    Raises StatsError for an empty array, for NaN and for minus infinity.
    """
    sample = np.sort(np.asarray(values, dtype=float))
    if sample.ndim != 1 or not sample.size or np.isnan(sample).any() or sample[0] == -np.inf:
        raise StatsError(
            f"found {values!r:.80}; give one number per cluster, infinite where it is beyond what "
            "was tried"
        )
    n = sample.size
    inwards = int(stats.binom.ppf((1 - LEVEL) / 2, n, 0.5))  # values left out at either end
    if stats.binom.cdf(inwards, n, 0.5) > (1 - LEVEL) / 2:
        inwards -= 1  # -1: not even the extremes will do
    ends = (sample[inwards], sample[n - 1 - inwards]) if inwards >= 0 else (np.inf, np.inf)
    low, high = map(_known, ends)
    return Estimate(_known(float(np.median(sample))), low, high, n, unit)


def _known(number: float) -> float | None:
    return float(number) if np.isfinite(number) else None
