"""Standardised mean differences with exact intervals, in units of the standard deviation."""

import numpy as np
from jaxtyping import Float
from scipy import optimize, special, stats

from interp_rc.records.numbers import Estimate
from interp_rc.stats.bootstrap import LEVEL
from interp_rc.stats.samples import checked_sample, is_constant

UNIT = "standard deviation"


def cohens_d(values: Float[np.ndarray, " cluster"]) -> Estimate:
    """Cohen's d of one sample or of paired differences: mean / standard deviation (n - 1).

    All fields but n are null if all values are equal.
    Raises StatsError for fewer than two or non-finite values.
    """
    sample = checked_sample(values, at_least=2)
    if is_constant(sample):
        return Estimate(None, None, None, sample.size, UNIT)
    d = sample.mean() / sample.std(ddof=1)
    return _estimate(d, np.sqrt(sample.size), sample.size - 1, sample.size, 1.0)


def hedges_g(values: Float[np.ndarray, " cluster"]) -> Estimate:
    """`cohens_d` without its small-sample bias. Raises StatsError for fewer than three values."""
    sample = checked_sample(values, at_least=3)
    if is_constant(sample):
        return Estimate(None, None, None, sample.size, UNIT)
    d, df = sample.mean() / sample.std(ddof=1), sample.size - 1
    return _estimate(d, np.sqrt(sample.size), df, sample.size, hedges_factor(df))


def hedges_g_two_samples(
    first: Float[np.ndarray, " first_cluster"], second: Float[np.ndarray, " second_cluster"]
) -> Estimate:
    """Hedges' g of two independent samples over their pooled standard deviation.

    n counts both samples; the other fields are null if neither sample varies.
    Raises StatsError if a sample has fewer than two or non-finite values.
    """
    left = checked_sample(first, at_least=2, what="first sample")
    right = checked_sample(second, at_least=2, what="second sample")
    n, df = left.size + right.size, left.size + right.size - 2
    if is_constant(left) and is_constant(right):
        return Estimate(None, None, None, n, UNIT)
    squares = (left.size - 1) * left.var(ddof=1) + (right.size - 1) * right.var(ddof=1)
    d = (left.mean() - right.mean()) / np.sqrt(squares / df)
    return _estimate(d, np.sqrt(left.size * right.size / n), df, n, hedges_factor(df))


def hedges_factor(df: int) -> float:
    """Exact bias correction J of d (Hedges 1981, J. Educ. Stat. 6, 107-128, eq. 6e)."""
    log_factor = special.gammaln(df / 2) - special.gammaln((df - 1) / 2) - np.log(df / 2) / 2
    return float(np.exp(log_factor))


def _estimate(d: float, t_per_d: float, df: int, n: int, factor: float) -> Estimate:
    """Interval by inverting the noncentral t distribution of t = d * t_per_d."""
    t = d * t_per_d
    low = _noncentrality(t, df, (1 + LEVEL) / 2) / t_per_d
    high = _noncentrality(t, df, (1 - LEVEL) / 2) / t_per_d
    return Estimate(float(d * factor), float(low * factor), float(high * factor), n, UNIT)


def _noncentrality(t: float, df: int, probability: float) -> float:
    """The noncentrality under which a noncentral t variable is below `t` with `probability`.

    That variable is (Z + noncentrality) / S with Z normal and S = sqrt(chi2 / df).
    """
    if abs(t) > 1e4:
        # Z no longer matters, and SciPy's noncentral t fails out here.
        return float(t * _scale_quantile(1 - probability if t > 0 else probability, df))
    # The root lies between these: Z beyond 5 and S beyond its 0.1 % tails are rarer than the tails.
    ends = sorted([t * _scale_quantile(0.001, df), t * _scale_quantile(0.999, df)])
    return float(
        optimize.brentq(
            lambda centre: stats.nct.cdf(t, df, centre) - probability, ends[0] - 5, ends[1] + 5
        )
    )


def _scale_quantile(probability: float, df: int) -> float:
    return float(np.sqrt(stats.chi2.ppf(probability, df) / df))
