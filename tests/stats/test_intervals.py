import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from interp_rc.records.errors import StatsError
from interp_rc.records.numbers import Estimate
from interp_rc.stats.intervals import bootstrap_mean, t_mean


def test_t_mean_by_hand():
    # mean 2, sd 1, standard error 1/sqrt(3) = 0.577350, t(0.975, 2) = 4.302653
    estimate = t_mean(np.array([1.0, 2.0, 3.0]), "nat")
    assert estimate.value == pytest.approx(2.0)
    assert estimate.low == pytest.approx(2 - 2.484138, abs=1e-6)
    assert estimate.high == pytest.approx(2 + 2.484138, abs=1e-6)
    assert (estimate.n, estimate.unit) == (3, "nat")


@pytest.mark.parametrize("unit", ["nat", "fraction"])
def test_one_cluster_has_no_interval(unit):
    expected = Estimate(0.5, None, None, 1, unit)
    assert t_mean(np.array([0.5]), unit) == expected
    assert bootstrap_mean(np.array([0.5]), unit, seed=0) == expected


@pytest.mark.parametrize(
    ("rate", "n", "low", "high"),
    [
        (0.0, 30, 0.0, 0.115703),  # Clopper-Pearson for 0 of 30: 1 - 0.025 ** (1 / 30)
        (1.0, 30, 0.884297, 1.0),
        (0.5, 2, 0.033114, 0.966886),  # 1 - sqrt(0.025) = 0.841886 and a quarter of the mean
    ],
)
def test_equal_rates_keep_an_interval(rate, n, low, high):
    for estimate in (
        bootstrap_mean(np.full(n, rate), "fraction", seed=0),
        t_mean(np.full(n, rate), "fraction"),
    ):
        assert estimate.value == rate
        assert estimate.low == pytest.approx(low, abs=1e-6)
        assert estimate.high == pytest.approx(high, abs=1e-6)


def test_equal_log_probabilities_have_no_interval():
    assert bootstrap_mean(np.full(30, -2.0), "nat", seed=0) == Estimate(-2.0, None, None, 30, "nat")


@pytest.mark.parametrize("values", [[-0.1, 0.5], [0.5, 100.0]])
def test_rates_outside_the_unit_interval_are_errors(values):
    with pytest.raises(StatsError, match=r"values in \[0, 1\]"):
        t_mean(np.array(values), "fraction")
    with pytest.raises(StatsError, match=r"values in \[0, 1\]"):
        bootstrap_mean(np.array(values), "fraction", seed=0)


def test_few_facts_get_the_t_interval():
    values = np.random.default_rng(0).normal(size=20)
    assert bootstrap_mean(values[:19], "nat", seed=0) == t_mean(values[:19], "nat")
    assert bootstrap_mean(values, "nat", seed=0) != t_mean(values, "nat")


def test_bootstrap_repeats_with_its_seed():
    values = np.random.default_rng(0).random(30)
    assert bootstrap_mean(values, "nat", seed=1) == bootstrap_mean(values, "nat", seed=1)
    assert bootstrap_mean(values, "nat", seed=1) != bootstrap_mean(values, "nat", seed=2)


def test_bootstrap_is_bca():
    """Efron's formulas in plain loops: bias from the share of means below, skew from a jackknife.

    On skewed data the percentile interval is off by more than the tolerance.
    """
    values = np.random.default_rng(5).lognormal(sigma=1.5, size=25)
    n, mean, normal = values.size, values.mean(), NormalDist()
    generator = np.random.default_rng(99)
    means = sorted(generator.choice(values, n).mean() for _ in range(20_000))
    bias = normal.inv_cdf(sum(m < mean for m in means) / len(means))
    left_out = [(values.sum() - value) / (n - 1) for value in values]
    gaps = [np.mean(left_out) - one for one in left_out]
    skew = sum(g**3 for g in gaps) / (6 * sum(g**2 for g in gaps) ** 1.5)

    def end(z):
        return means[int(len(means) * normal.cdf(bias + (bias + z) / (1 - skew * (bias + z))))]

    estimate = bootstrap_mean(values, "nat", seed=0, draws=20_000)
    tolerance = 0.15 * values.std() / n**0.5
    assert estimate.low == pytest.approx(end(-1.959964), abs=tolerance)
    assert estimate.high == pytest.approx(end(1.959964), abs=tolerance)
    assert abs(means[int(0.975 * len(means))] - end(1.959964)) > 2 * tolerance


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_interval_of_rates_holds_the_mean(values):
    estimate = bootstrap_mean(np.array(values), "fraction", seed=0, draws=200)
    assert estimate.value == pytest.approx(math.fsum(values) / len(values))
    if estimate.low is not None:
        assert 0 <= estimate.low <= estimate.value + 1e-12
        assert estimate.value - 1e-12 <= estimate.high <= 1


def test_coverage_over_seeds_is_nominal():
    generator, simulations = np.random.default_rng(2), 2000
    estimates = [t_mean(generator.normal(3.0, 2.0, 5), "nat") for _ in range(simulations)]
    hits = sum(e.low <= 3.0 <= e.high for e in estimates)
    assert stats.binomtest(hits, simulations, 0.95).pvalue > 0.001
