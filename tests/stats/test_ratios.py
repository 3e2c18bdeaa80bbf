"""Ratios of means: Fieller's interval against a scan, the bootstrap's against the delta method."""

import numpy as np
import pytest
from scipy import stats

from interp_rc.records.errors import StatsError
from interp_rc.stats.ratios import ratio_of_means


def sample(n, ratio, seed, noise=0.5):
    draw = np.random.default_rng(seed)
    below = draw.normal(4, 1, n)
    return ratio * below + draw.normal(0, noise, n), below


def test_few_facts_have_the_ratios_that_t_does_not_refute():
    above, below = sample(8, 0.4, 0)
    found = ratio_of_means(above, below, seed=0)
    assert found.value == pytest.approx(above.mean() / below.mean())
    tried = np.linspace(0, 1, 1001)
    kept = [r for r in tried if stats.ttest_1samp(above - r * below, 0).pvalue >= 0.05]
    assert (found.low, found.high) == pytest.approx((min(kept), max(kept)), abs=2e-3)


def test_many_facts_are_resampled_in_pairs():
    above, below = sample(60, 0.4, 1)
    found = ratio_of_means(above, below, seed=0)
    spread = (above - found.value * below).std(ddof=1) / below.mean() / np.sqrt(60)
    assert found.low == pytest.approx(found.value - 1.96 * spread, abs=0.4 * spread)
    assert found.high == pytest.approx(found.value + 1.96 * spread, abs=0.4 * spread)
    # Were they not paired, what both share would widen it.
    apart = np.random.default_rng(0).permutation(above)
    wide = ratio_of_means(apart, below, seed=0)
    assert wide.high - wide.low > found.high - found.low


@pytest.mark.parametrize("n", [8, 40])
def test_nothing_is_divided_by_what_may_be_zero(n):
    draw = np.random.default_rng(2)
    found = ratio_of_means(draw.normal(1, 1, n), draw.normal(0.01, 1, n), seed=0)
    assert (found.value, found.low, found.high, found.n) == (None, None, None, n)


def test_unequal_lengths_are_refused():
    with pytest.raises(StatsError, match="clusters against"):
        ratio_of_means(np.ones(3), np.ones(4), seed=0)


@pytest.mark.parametrize("n", [4, 25])
@pytest.mark.parametrize("varies", [False, True])
def test_facts_that_all_have_one_ratio_give_no_interval(n, varies):
    """Nothing varies that an interval could come from: it was [2, 2] below twenty facts."""
    below = np.linspace(1, 1 + varies, n)
    found = ratio_of_means(2 * below, below, seed=0)
    assert (found.low, found.high, found.n) == (None, None, n)
    assert found.value == pytest.approx(2)
