"""Do two samples come from one distribution?"""

import warnings

import numpy as np
from jaxtyping import Float
from scipy import stats

from interp_rc.records.numbers import Test
from interp_rc.stats.samples import checked_sample


def two_sample_ks(
    first: Float[np.ndarray, " first_cluster"],
    second: Float[np.ndarray, " second_cluster"],
    *,
    name: str,
) -> Test:
    """Two-sample Kolmogorov-Smirnov test, two-sided, exact; n counts both samples.

    Give one value per fact: over prompts, the test rejects true nulls (in a trial, 22 of 52).
    With ties p is too large, never too small. The statistic is the largest distance between the
    two empirical distribution functions. Where SciPy has no exact p (tens of thousands of values,
    or p = 1 but for rounding) it is asymptotic, and the test's description says so.

    Raises StatsError for empty or non-finite input.
    """
    left = checked_sample(first, what="first sample")
    right = checked_sample(second, what="second sample")
    with warnings.catch_warnings(record=True) as fallback:
        warnings.simplefilter("always", RuntimeWarning)
        result = stats.ks_2samp(left, right, method="exact")
    how = "asymptotic" if fallback else "exact"
    return Test(
        name,
        f"two-sample KS, {how}",
        float(result.statistic),
        float(result.pvalue),
        None,
        None,
        None,
        left.size + right.size,
    )
