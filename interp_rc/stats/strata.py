"""Means over strata that count the same however many clusters each has."""

from collections.abc import Sequence

import numpy as np

from interp_rc.records.errors import StatsError
from interp_rc.records.numbers import Estimate
from interp_rc.stats.intervals import RATE


def mean_of_strata(strata: Sequence[Estimate]) -> Estimate:
    """Mean of the strata's means, each stratum with the interval of its own clusters.

    The intervals are put together from their limits (Zou and Donner 2008, Statist. Med. 27,
    1693-1702): the distance from the mean to a limit is the root of the mean squares, over the
    number of strata. n counts clusters. Without an interval (null) if a stratum has none.

    Raises StatsError for no strata, or one without a value.
    """
    if not strata or any(one.value is None for one in strata):
        raise StatsError("found no strata, or one without a value; give an estimate per stratum")
    unit, n = strata[0].unit, sum(one.n for one in strata)
    values = np.array([one.value for one in strata], dtype=float)
    value = float(values.mean())
    ends = [[one.low for one in strata], [one.high for one in strata]]
    if any(end is None for limits in ends for end in limits):
        return Estimate(value, None, None, n, unit)
    down, up = (
        float(np.sqrt(np.sum((values - np.array(limits, dtype=float)) ** 2)) / len(strata))
        for limits in ends
    )
    low, high = value - down, value + up
    return Estimate(
        value,
        max(low, 0.0) if unit == RATE else low,
        min(high, 1.0) if unit == RATE else high,
        n,
        unit,
    )
