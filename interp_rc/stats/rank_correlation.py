"""Spearman's rank correlation with an interval, and what changed about it."""

import numpy as np
from jaxtyping import Float
from scipy import stats

from interp_rc.records.errors import StatsError
from interp_rc.records.numbers import Estimate
from interp_rc.stats.bootstrap import bca
from interp_rc.stats.samples import checked_sample, is_constant

UNIT = "correlation"
Values = Float[np.ndarray, " pair"]


def spearman(first: Values, second: Values, *, seed: int, draws: int = 2000) -> Estimate:
    """Rank correlation over pairs, with ties, and its bootstrap interval over pairs (BCa).

    Null, with no interval, if either is constant. Raises StatsError for fewer than three pairs,
    unequal lengths or values that are not finite.
    """
    both = _checked(first, second)
    if any(is_constant(one) for one in both):
        return Estimate(None, None, None, both[0].size, UNIT)
    value = float(stats.spearmanr(*both).statistic)
    return Estimate(value, *bca(both, _ranked, seed=seed, draws=draws), both[0].size, UNIT)


def spearman_change(
    before: Values, after: Values, grades: Values, *, seed: int, draws: int = 2000
) -> Estimate:
    """The rank correlation of `after` with `grades`, less that of `before`; pairs are drawn with
    all three values. No interval where none of the pairs changed; null and raised as in
    `spearman`."""
    sample = (*_checked(before, after), _checked(before, grades)[1])
    if any(is_constant(one) for one in sample):
        return Estimate(None, None, None, sample[0].size, UNIT)
    if np.array_equal(sample[0], sample[1]):
        return Estimate(0.0, None, None, sample[0].size, UNIT)
    value = float(
        stats.spearmanr(sample[1], sample[2]).statistic
        - stats.spearmanr(sample[0], sample[2]).statistic
    )
    ends = bca(sample, _changed, seed=seed, draws=draws)
    return Estimate(value, *ends, sample[0].size, UNIT)


def _ranked(first: np.ndarray, second: np.ndarray, axis: int = -1) -> np.ndarray:
    """Spearman's correlation along an axis: Pearson's, of ranks."""
    ranks = [stats.rankdata(one, axis=axis) for one in (first, second)]
    one, other = (rank - rank.mean(axis=axis, keepdims=True) for rank in ranks)
    scale = np.sqrt((one**2).sum(axis=axis) * (other**2).sum(axis=axis))
    found: np.ndarray = (one * other).sum(axis=axis) / scale
    return found


def _changed(
    before: np.ndarray, after: np.ndarray, grades: np.ndarray, axis: int = -1
) -> np.ndarray:
    return _ranked(after, grades, axis) - _ranked(before, grades, axis)


def _checked(first: Values, second: Values) -> tuple[Values, Values]:
    one = checked_sample(first, at_least=3, what="first values")
    other = checked_sample(second, at_least=3, what="second values")
    if one.size != other.size:
        raise StatsError(f"found {one.size} values against {other.size}; give them in pairs")
    return one, other
