import numpy as np
import pytest
from scipy import stats

from interp_rc.records.errors import StatsError
from interp_rc.records.numbers import Estimate
from interp_rc.stats.censored import censored_median

BEYOND = np.inf


def test_ten_by_hand():
    values = np.array([64, 48, 32, 96, 64, 128, 48, 64, 192, 96.0])
    # Sorted: 32 48 48 64 64 64 96 96 128 192; the second and the ninth.
    assert censored_median(values, "pairs") == Estimate(64, 48, 128, 10, "pairs")


def test_what_is_censored_is_null():
    # Sorted: 32 48 64 inf …: the middle two of six are 64 and infinity.
    values = np.array([BEYOND, 32, 64, BEYOND, 48, BEYOND])
    assert censored_median(values, "pairs") == Estimate(None, 32, None, 6, "pairs")
    five = np.array([32, 48, 64, BEYOND, BEYOND])
    assert censored_median(five, "pairs") == Estimate(64, None, None, 5, "pairs")
    assert censored_median(np.full(10, BEYOND), "pairs") == Estimate(None, None, None, 10, "pairs")


@pytest.mark.parametrize("n", [6, 9, 10, 15, 20])
def test_coverage(n):
    """Exact by the binomial, and no wider than need be: one step further in misses too often."""
    ranks = np.arange(1.0, n + 1)
    found = censored_median(ranks, "pairs")
    low, high = int(found.low), int(found.high)
    below = stats.binom.cdf(np.arange(n + 1), n, 0.5)
    assert 1 - 2 * below[low - 1] >= 0.95
    assert 1 - 2 * below[low] < 0.95
    assert high == n + 1 - low


@pytest.mark.parametrize("values", [[], [1.0, np.nan], [-np.inf, 1.0]])
def test_nothing_to_take_the_median_of(values):
    with pytest.raises(StatsError, match="one number per cluster"):
        censored_median(np.array(values), "pairs")
