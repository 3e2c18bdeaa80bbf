import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

from interp_rc.records.errors import StatsError
from interp_rc.stats.differences import paired_t
from interp_rc.stats.equivalence import non_superiority, tost

samples = st.lists(st.integers(-50, 50), min_size=2, max_size=12).filter(lambda v: len(set(v)) > 1)


def test_non_superiority_by_hand():
    # mean 2, standard error 1/sqrt(3): t = (2 - 5) sqrt(3) = -sqrt(27). With 2 degrees of freedom
    # F(t) = 1/2 + t / (2 sqrt(2 + t^2)) = 1/2 - sqrt(27 / 29) / 2 = 0.017549.
    test = non_superiority(np.array([1.0, 2, 3]), 5.0, name="reverse")
    assert (test.name, test.test, test.margin, test.n) == ("reverse", "non-superiority t", 5.0, 3)
    assert test.statistic == pytest.approx(-(27**0.5))
    assert test.p == pytest.approx(0.017549, abs=1e-6)


def test_tost_by_hand():
    # mean 0, both t are 2 sqrt(3) from their bounds: p = 1/2 - sqrt(12 / 14) / 2 = 0.037090
    test = tost(np.array([-1.0, 0, 1]), 2.0, name="same")
    assert (test.test, test.margin, test.n) == ("TOST", 2.0, 3)
    assert abs(test.statistic) == pytest.approx(12**0.5)
    assert test.p == pytest.approx(0.037090, abs=1e-6)


@given(samples, st.floats(0.1, 30))
def test_against_statsmodels(values, margin):
    described = DescrStatsW(np.array(values, dtype=float))
    t, p, _ = described.ttest_mean(margin, alternative="smaller")
    ours = non_superiority(np.array(values), margin, name="x")
    assert (ours.statistic, ours.p) == pytest.approx((t, p))
    p, low, high = described.ttost_mean(-margin, margin)
    ours = tost(np.array(values), margin, name="x")
    assert ours.p == pytest.approx(p)
    assert ours.statistic == pytest.approx(low[0] if low[1] > high[1] else high[0])


@given(samples, st.floats(0.1, 30), st.floats(0.1, 30))
def test_laws(values, margin, more):
    sample = np.array(values, dtype=float)
    p = tost(sample, margin, name="x").p
    assert p >= non_superiority(sample, margin, name="x").p
    assert tost(-sample, margin, name="x").p == pytest.approx(p)
    assert tost(3 * sample, 3 * margin, name="x").p == pytest.approx(p)
    assert tost(sample, margin + more, name="x").p <= p


@pytest.mark.slow
@pytest.mark.parametrize("test", [non_superiority, tost])
def test_rejects_at_its_level_on_the_margin(test):
    # A mean on the margin is the null hardest to keep. 30 standard errors away from the other
    # bound, TOST is the one-sided test.
    generator, simulations = np.random.default_rng(0), 2000
    rejected = sum(
        test(generator.normal(3.0, 1.0, 20), 3.0, name="null").p < 0.05 for _ in range(simulations)
    )
    assert stats.binomtest(rejected, simulations, 0.05).pvalue > 0.001


def test_below_the_lower_margin_is_no_higher_but_not_the_same():
    sample = np.random.default_rng(1).normal(-5.0, 1.0, 20)
    assert non_superiority(sample, 1.0, name="x").p < 0.001
    assert tost(sample, 1.0, name="x").p > 0.999


def test_no_difference_found_is_not_no_difference():
    sample = np.array([-9.0, 2.0, 10.0])
    assert paired_t(sample, np.zeros(3), name="x").p > 0.5
    assert tost(sample, 1.0, name="x").p > 0.3


@pytest.mark.parametrize("test", [non_superiority, tost])
def test_edges(test):
    result = test(np.zeros(5), 1.0, name="x")
    assert result.statistic is result.p is None
    assert (result.margin, result.n) == (1.0, 5)
    with pytest.raises(StatsError, match="found margin 0"):
        test(np.array([1.0, 2.0]), 0.0, name="x")
    with pytest.raises(StatsError, match="need at least 2"):
        test(np.array([1.0]), 1.0, name="x")
