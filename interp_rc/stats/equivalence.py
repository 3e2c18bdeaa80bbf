"""Tests against a margin: rejections say "no higher than", "higher than" or "no different".

A p above 0.05 says none of these.
"""

import numpy as np
from jaxtyping import Float
from scipy import stats

from interp_rc.records.numbers import Test
from interp_rc.stats.samples import checked_margin, checked_sample, is_constant


def non_superiority(values: Float[np.ndarray, " cluster"], margin: float, *, name: str) -> Test:
    """One-sided t test of H0 "mean >= margin"; rejecting it says "no higher than".

    `values` are differences to the comparison, one per cluster, in the unit of `margin`.
    Statistic and p are null if all values are equal.
    Raises StatsError for fewer than two or non-finite values, or a margin that is not positive.
    """
    sample, margin = checked_sample(values, at_least=2), checked_margin(margin)
    statistic, p = None, None
    if not is_constant(sample):
        statistic, p = (float(number) for number in non_superiority_t(sample, margin))
    return Test(name, "non-superiority t", statistic, p, None, None, margin, sample.size)


def superiority(values: Float[np.ndarray, " cluster"], margin: float, *, name: str) -> Test:
    """One-sided t test of H0 "mean <= margin"; rejecting it says "higher than by the margin".

    The mirror of `non_superiority`, with the same nulls and errors.
    """
    sample, margin = checked_sample(values, at_least=2), checked_margin(margin)
    statistic, p = None, None
    if not is_constant(sample):
        result = stats.ttest_1samp(sample, margin, alternative="greater")
        statistic, p = float(result.statistic), float(result.pvalue)
    return Test(name, "superiority t", statistic, p, None, None, margin, sample.size)


def tost(values: Float[np.ndarray, " cluster"], margin: float, *, name: str) -> Test:
    """Two one-sided t tests of H0 "|mean| >= margin"; rejecting it says "no different".

    Schuirmann 1987, J. Pharmacokinet. Biopharm. 15, 657-680. Statistic and p are those of the
    less significant of the two, and null if all values are equal.
    Raises StatsError for fewer than two or non-finite values, or a margin that is not positive.
    """
    sample, margin = checked_sample(values, at_least=2), checked_margin(margin)
    statistic, p = None, None
    if not is_constant(sample):
        statistic, p = (float(number) for number in tost_t(sample, margin))
    return Test(name, "TOST", statistic, p, None, None, margin, sample.size)


def non_superiority_t(
    values: Float[np.ndarray, "*batch cluster"], margin: float
) -> tuple[Float[np.ndarray, "*batch"], Float[np.ndarray, "*batch"]]:
    """t and p of `non_superiority` for many samples at once, without its checks."""
    below = stats.ttest_1samp(values, margin, axis=-1, alternative="less")
    return below.statistic, below.pvalue


def tost_t(
    values: Float[np.ndarray, "*batch cluster"], margin: float
) -> tuple[Float[np.ndarray, "*batch"], Float[np.ndarray, "*batch"]]:
    """t and p of `tost` for many samples at once, without its checks."""
    above = stats.ttest_1samp(values, -margin, axis=-1, alternative="greater")
    below = stats.ttest_1samp(values, margin, axis=-1, alternative="less")
    weaker = np.where(above.pvalue > below.pvalue, above.statistic, below.statistic)
    return weaker, np.maximum(above.pvalue, below.pvalue)
