"""Two samples of different facts: how far their means are apart, and whether they are."""

from math import comb, hypot

import numpy as np
from jaxtyping import Float
from scipy import stats

from interp_rc.records.numbers import Estimate, Test
from interp_rc.stats.differences import Alternative
from interp_rc.stats.samples import checked_margin, checked_sample, is_constant


def difference_of_means(
    first: Estimate, second: Estimate, *, unit: str, scale: float = 1.0
) -> Estimate:
    """`scale` times first less second, of independent samples, with the interval that follows from
    the two means' own (MOVER; Zou and Donner 2008, Stat. Med. 27, 1693-1702).

    So a rate that is the same for all facts keeps the bounds that it has. n counts the clusters of
    both; no interval where either mean has none.
    """
    if first.value is None or second.value is None:
        return Estimate(None, None, None, first.n + second.n, unit)
    apart = first.value - second.value
    low, high = None, None
    if not (first.low is None or first.high is None or second.low is None or second.high is None):
        low = scale * (apart - hypot(first.value - first.low, second.high - second.value))
        high = scale * (apart + hypot(first.high - first.value, second.value - second.low))
    return Estimate(scale * apart, low, high, first.n + second.n, unit)


def two_sample_permutation(
    first: Float[np.ndarray, " one"],
    second: Float[np.ndarray, " other"],
    *,
    name: str,
    seed: int,
    alternative: Alternative = "two-sided",
    draws: int = 10_000,
) -> Test:
    """Permutation test that both samples are drawn alike; statistic the difference of means.

    Exact over all divisions if these are at most `draws`, otherwise Monte Carlo, where
    p = (1 + hits) / (1 + draws). Statistic and p are null where all values are equal. n counts
    both samples.
    Raises StatsError for fewer than two or non-finite values in either.
    """
    one = checked_sample(first, at_least=2, what="first sample")
    other = checked_sample(second, at_least=2, what="second sample")
    n = one.size + other.size
    how = "exact" if comb(n, one.size) <= draws else f"{draws} draws"
    statistic, p = None, None
    if not is_constant(np.concatenate([one, other])):
        found = stats.permutation_test(
            (one, other),
            lambda x, y, axis: np.mean(x, axis=axis) - np.mean(y, axis=axis),
            permutation_type="independent",
            vectorized=True,
            n_resamples=draws,
            batch=1000,
            alternative=alternative,
            rng=np.random.default_rng(seed),
        )
        statistic, p = float(found.statistic), float(found.pvalue)
    kind = f"two-sample permutation, {alternative}, {how}"
    return Test(name, kind, statistic, p, None, None, None, n)


def two_sample_non_superiority(
    first: Float[np.ndarray, " one"],
    second: Float[np.ndarray, " other"],
    margin: float,
    *,
    name: str,
) -> Test:
    """One-sided Welch t test of H0 "mean of first - mean of second >= margin".

    Statistic and p are null if all values of both samples are equal. n counts both samples.
    Raises StatsError as `two_sample_permutation`, and for a margin that is not positive.
    """
    one = checked_sample(first, at_least=2, what="first sample")
    other = checked_sample(second, at_least=2, what="second sample")
    margin = checked_margin(margin)
    statistic, p = None, None
    if not (is_constant(one) and is_constant(other)):
        found = stats.ttest_ind(one - margin, other, equal_var=False, alternative="less")
        statistic, p = float(found.statistic), float(found.pvalue)
    kind = "non-superiority, Welch t"
    return Test(name, kind, statistic, p, None, None, margin, one.size + other.size)
