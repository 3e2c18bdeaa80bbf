"""95 % intervals of a mean: bootstrap over facts within a model, t over seeds."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy import stats

from interp_rc.records.errors import StatsError
from interp_rc.records.numbers import Estimate
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.bootstrap import LEVEL, bca
from interp_rc.stats.rates import hidden_share, rate_limits
from interp_rc.stats.samples import checked_sample, is_constant

RATE = "fraction"
"""The unit of rates. A difference of rates can be negative, so it needs another unit."""
FEWEST_FOR_BOOTSTRAP = 20
"""Below this a cluster bootstrap covers too little (84 % with five), and t is used instead."""


def bootstrap_mean(
    values: Float[np.ndarray, " cluster"], unit: str, *, seed: int, draws: int = 2000
) -> Estimate:
    """Mean over facts with a cluster-bootstrap interval (`bca`); rates get `rate_limits`.

    `values` holds one mean per fact, because the prompts of one fact are not independent.
    BCa rather than percentile because values are skewed. With fewer than 20 facts, or facts that
    are all equal, this is `t_mean`; rates have one rule, whatever their number and their values.

    Raises StatsError for empty or non-finite input and for rates outside [0, 1].
    """
    sample = _checked(values, unit)
    if unit == RATE or sample.size < FEWEST_FOR_BOOTSTRAP or is_constant(sample):
        return t_mean(sample, unit)
    return _estimate(sample, *bca((sample,), np.mean, seed=seed, draws=draws), unit)


def over_facts(name: str, values: ArrayLike, unit: str, seed: int) -> Estimate:
    """Take `bootstrap_mean` with draws of its own, by `name`."""
    use = derive_seed(seed, "bootstrap", name)
    return bootstrap_mean(np.asarray(values, dtype=float), unit, seed=use)


def t_mean(values: Float[np.ndarray, " cluster"], unit: str) -> Estimate:
    """Mean over seeds (or few facts) with a t interval; rates get `rate_limits`.

    A single value has no interval (null), nor have values of other units that are all equal.
    For rates that are themselves means over the facts of a seed see `rate_over_seeds`.

    Raises StatsError for empty or non-finite input and for rates outside [0, 1].
    """
    sample = _checked(values, unit)
    if sample.size == 1 or (is_constant(sample) and unit != RATE):
        return _estimate(sample, None, None, unit)
    if unit == RATE:
        return _estimate(sample, *rate_limits(sample), unit)
    return _estimate(sample, *t_limits(sample), unit)


def mean_share(values: Float[np.ndarray, " cluster"], *, seed: int, draws: int = 2000) -> Estimate:
    """Mean over facts of shares that are measured rather than counted (attention, say), which
    none of the facts that were not seen will have far away: by the bootstrap, as other units.

    Raises StatsError as `bootstrap_mean` of rates does.
    """
    _checked(values, RATE)
    found = bootstrap_mean(values, "share", seed=seed, draws=draws)
    low, high = (
        None if end is None else min(max(end, 0.0), 1.0) for end in (found.low, found.high)
    )
    return replace(found, low=low, high=high, unit=RATE)


def rate_over_seeds(values: Float[np.ndarray, " seed"], facts: int) -> Estimate:
    """Mean over seeds (or draws) of rates over `facts` facts, those of all seeds together; n counts
    seeds.

    The t interval of the seeds' rates, and no narrower than the facts allow: were a share of other
    facts right (or wrong) throughout, none of it might have been met (`hidden_share`). A share of
    which each seed has one, and not one a fact, has the t interval alone.

    Raises StatsError for empty or non-finite input and for rates outside [0, 1].
    """
    sample = _checked(values, RATE)
    counted = facts > sample.size
    if sample.size == 1 or (is_constant(sample) and not counted):
        return _estimate(sample, None, None, RATE)
    limits = [] if is_constant(sample) else [t_limits(sample)]
    if counted:
        mean, hidden = sample.mean(), hidden_share(facts)
        limits.append((mean * (1 - hidden), mean * (1 - hidden) + hidden))
    lows, highs = zip(*limits, strict=True)
    return _estimate(sample, min(lows), max(highs), RATE)


def t_limits(sample: Float[np.ndarray, " cluster"]) -> tuple[float, float]:
    """The limits of Student's interval of a mean; the sample must vary."""
    low, high = stats.t.interval(
        LEVEL, df=sample.size - 1, loc=sample.mean(), scale=stats.sem(sample)
    )
    return float(low), float(high)


def _checked(values: Float[np.ndarray, " cluster"], unit: str) -> Float[np.ndarray, " cluster"]:
    sample = checked_sample(values)
    if unit == RATE and (sample.min() < 0 or sample.max() > 1):
        raise StatsError(
            f"found rates from {sample.min():g} to {sample.max():g}; the unit {RATE!r} is for "
            "values in [0, 1], so give percent or differences another unit"
        )
    return sample


def _estimate(
    sample: Float[np.ndarray, " cluster"], low: float | None, high: float | None, unit: str
) -> Estimate:
    """Gather the numbers: finite or null, and rates within [0, 1] despite rounding."""

    def tidy(number: float | None) -> float | None:
        if number is None or not np.isfinite(number):
            return None
        return float(np.clip(number, 0, 1)) if unit == RATE else float(number)

    return Estimate(tidy(sample.mean()), tidy(low), tidy(high), int(sample.size), unit)
