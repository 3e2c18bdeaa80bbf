"""Is the mean of paired differences zero? By the t-distribution, or by flipping signs."""

from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy import stats

from interp_rc.records.numbers import Test
from interp_rc.stats.samples import checked_differences, checked_sample, is_constant

Alternative = Literal["two-sided", "greater", "less"]


def paired_t(
    first: Float[np.ndarray, " cluster"],
    second: Float[np.ndarray, " cluster"],
    *,
    name: str,
    alternative: Alternative = "two-sided",
) -> Test:
    """Student's paired t test of `first - second`; statistic t, n pairs.

    Statistic and p are null if all differences are equal. Raises StatsError for fewer than two
    pairs, unequal lengths or non-finite values.
    """
    differences = checked_differences(first, second)
    statistic, p = None, None
    if not is_constant(differences):
        result = stats.ttest_1samp(differences, 0.0, alternative=alternative)
        statistic, p = float(result.statistic), float(result.pvalue)
    return Test(name, f"paired t, {alternative}", statistic, p, None, None, None, differences.size)


def sign_flip(
    differences: Float[np.ndarray, " cluster"],
    *,
    name: str,
    seed: int,
    alternative: Alternative = "two-sided",
    draws: int = 10_000,
) -> Test:
    """Permutation test that `differences` are symmetric about zero; statistic their mean.

    Exact over all 2^n sign patterns if these are at most `draws`, otherwise Monte Carlo, where
    p = (1 + hits) / (1 + draws) is never zero (Phipson and Smyth 2010, SAGMB 9, 39).
    Raises StatsError for fewer than two or non-finite values.
    """
    sample = checked_sample(differences, at_least=2)
    result = stats.permutation_test(
        (sample,),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=draws,
        batch=1000,
        alternative=alternative,
        rng=np.random.default_rng(seed),
    )
    how = "exact" if 2**sample.size <= draws else f"{draws} draws"
    return Test(
        name,
        f"sign-flip permutation, {alternative}, {how}",
        float(result.statistic),
        float(result.pvalue),
        None,
        None,
        None,
        sample.size,
    )
