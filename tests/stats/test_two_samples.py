"""Differences of means of unlike samples, against closed forms and simulation."""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from interp_rc.records.errors import StatsError
from interp_rc.records.numbers import Estimate
from interp_rc.stats.intervals import bootstrap_mean, t_mean
from interp_rc.stats.two_samples import (
    difference_of_means,
    two_sample_non_superiority,
    two_sample_permutation,
)


def test_with_symmetric_intervals_squares_add_up():
    first, second = Estimate(3.0, 1.0, 5.0, 10, "nat"), Estimate(1.0, -0.5, 2.5, 20, "nat")
    found = difference_of_means(first, second, unit="nat")
    assert (found.value, found.n) == (2.0, 30)
    assert found.low == pytest.approx(2.0 - 2.5)
    assert found.high == pytest.approx(2.0 + 2.5)


def test_rates_that_never_vary_keep_exact_bounds():
    """Nobody of 60 against nobody of 60: each bound is that of the one rate alone."""
    none = bootstrap_mean(np.zeros(60), "fraction", seed=0)
    found = difference_of_means(none, none, unit="percentage points", scale=100)
    bound = 100 * (1 - 0.025 ** (1 / 60))
    assert found.value == 0
    assert (found.low, found.high) == (pytest.approx(-bound), pytest.approx(bound))


def test_no_interval_without_those_of_the_means():
    one = Estimate(1.0, None, None, 1, "nat")
    other = Estimate(0.5, 0.0, 1.0, 9, "nat")
    assert difference_of_means(one, other, unit="nat") == Estimate(0.5, None, None, 10, "nat")
    nothing = Estimate(None, None, None, 0, "nat")
    assert difference_of_means(nothing, other, unit="nat").value is None


def test_the_interval_covers_what_it_should():
    draw = np.random.default_rng(0)
    covered = []
    for _ in range(800):
        samples = draw.normal(2.0, 1.0, 25), draw.normal(1.0, 3.0, 40)
        means = [t_mean(sample, "nat") for sample in samples]
        found = difference_of_means(*means, unit="nat")
        covered.append(found.low < 1.0 < found.high)
    assert 0.93 < np.mean(covered) < 0.97


def test_permutation_of_a_small_sample_is_exact():
    """Of the 20 divisions of six values into threes, one is as far up as this."""
    test = two_sample_permutation(
        np.array([4.0, 5.0, 6.0]), np.array([1.0, 2.0, 3.0]), name="x", seed=0,
        alternative="greater",
    )  # fmt: skip
    assert test.p == pytest.approx(1 / 20)
    assert (test.statistic, test.n) == (3.0, 6)


def test_permutations_against_a_loop():
    values = [0.9, 0.8, 0.4, 0.7, 0.1, 0.3, 0.5]
    first, second = np.array(values[:3]), np.array(values[3:])
    observed = first.mean() - second.mean()
    every = [
        np.mean([values[i] for i in chosen])
        - np.mean([values[i] for i in range(7) if i not in chosen])
        for chosen in combinations(range(7), 3)
    ]
    found = two_sample_permutation(first, second, name="x", seed=0, alternative="greater")
    assert found.statistic == pytest.approx(observed)
    assert found.p == pytest.approx(np.mean([one >= observed - 1e-12 for one in every]))
    assert found.test == "two-sample permutation, greater, exact"
    assert found.n == 7


def test_samples_that_are_all_apart_and_all_alike():
    apart = two_sample_permutation(np.ones(5), np.zeros(9), name="x", seed=0, alternative="greater")
    assert apart.p == pytest.approx(1 / 2002)
    alike = two_sample_permutation(np.ones(5), np.ones(9), name="x", seed=0, alternative="greater")
    assert (alike.statistic, alike.p, alike.n) == (None, None, 14)


def test_few_permutations_keep_their_level():
    generator, simulations = np.random.default_rng(6), 300
    p = [
        two_sample_permutation(
            generator.random(3), generator.random(5), name="x", seed=0, alternative="greater"
        ).p
        for _ in range(simulations)
    ]
    rejected = sum(one <= 0.05 for one in p)
    assert stats.binomtest(rejected, simulations, 0.05, alternative="greater").pvalue > 0.001


def test_permutation_holds_its_level_and_finds_what_is_there():
    draw = np.random.default_rng(1)

    def p(shift):
        one, other = draw.normal(shift, 1, 30), draw.normal(0, 1, 30)
        found = two_sample_permutation(
            one, other, name="x", seed=0, alternative="greater", draws=400
        )
        return found.p

    assert 0.02 < np.mean([p(0) < 0.05 for _ in range(300)]) < 0.09
    assert p(2) < 0.01


def test_non_superiority_is_welch_s_t():
    draw = np.random.default_rng(2)
    one, other = draw.normal(0, 1, 30), draw.normal(0, 2, 50)
    test = two_sample_non_superiority(one, other, 1.5, name="x")
    error = np.sqrt(one.var(ddof=1) / 30 + other.var(ddof=1) / 50)
    assert test.statistic == pytest.approx((one.mean() - other.mean() - 1.5) / error)
    assert test.p == pytest.approx(
        stats.ttest_ind(one, other + 1.5, equal_var=False, alternative="less").pvalue
    )
    assert (test.margin, test.n) == (1.5, 80)
    assert two_sample_non_superiority(one + 3, other, 1.5, name="x").p > 0.5


def test_what_cannot_be_tested():
    same = np.ones(5)
    test = two_sample_non_superiority(same, same, 1.0, name="x")
    assert (test.statistic, test.p) == (None, None)
    with pytest.raises(StatsError, match="margin"):
        two_sample_non_superiority(same, same, 0.0, name="x")
    with pytest.raises(StatsError, match="second sample"):
        two_sample_permutation(same, np.ones(1), name="x", seed=0)
