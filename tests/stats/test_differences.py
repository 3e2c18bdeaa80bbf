from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from interp_rc.records.errors import StatsError
from interp_rc.stats.differences import paired_t, sign_flip

whole_numbers = st.lists(st.integers(-20, 20), min_size=2, max_size=8)


def test_paired_t_by_hand():
    # differences 2, 1, 3, 4: mean 5/2, variance 5/3, t = 2.5 / sqrt(5/12) = sqrt(15).
    # With 3 degrees of freedom and u = t / sqrt(3) = sqrt(5), F(t) is
    # 1/2 + (u / (1 + u^2) + atan u) / pi = 1/2 + (0.372678 + 1.150262) / pi = 0.984767.
    # Two-sided p = 2 * 0.015233.
    test = paired_t(np.array([3.0, 4, 5, 8]), np.array([1.0, 3, 2, 4]), name="gain")
    assert (test.name, test.test, test.n) == ("gain", "paired t, two-sided", 4)
    assert test.statistic == pytest.approx(15**0.5)
    assert test.p == pytest.approx(0.030466, abs=1e-6)
    assert test.p_adjusted is test.correction is test.margin is None


def test_paired_t_has_sides():
    first, second = np.array([3.0, 4, 5, 8]), np.array([1.0, 3, 2, 4])
    greater = paired_t(first, second, name="x", alternative="greater").p
    less = paired_t(first, second, name="x", alternative="less").p
    assert greater == pytest.approx(0.015233, abs=1e-6)
    assert less == pytest.approx(1 - greater)


def test_equal_differences_give_no_t():
    test = paired_t(np.array([1.0, 2, 3]), np.array([0.0, 1, 2]), name="x")
    assert test.statistic is test.p is None


def test_paired_t_rejects_true_nulls_at_its_level():
    generator, simulations = np.random.default_rng(0), 2000
    rejected = 0
    for _ in range(simulations):
        shared = generator.normal(0, 5, 10)  # what pairing takes out
        first, second = shared + generator.normal(size=(2, 10))
        rejected += paired_t(first, second, name="null").p < 0.05
    assert stats.binomtest(rejected, simulations, 0.05).pvalue > 0.001


@pytest.mark.parametrize(
    ("values", "alternative", "p"),
    [
        ([1, 2, 3, 4], "greater", 1 / 16),  # only the observed signs reach the sum 10
        ([1, 2, 3, 4], "two-sided", 2 / 16),
        ([1, 2, 3, 4], "less", 1.0),
        ([1, 2, -3], "greater", 5 / 8),  # sums 6 4 2 0 0 -2 -4 -6; five are at least 0
        ([0, 0, 0], "two-sided", 1.0),
    ],
)
def test_sign_flip_by_hand(values, alternative, p):
    test = sign_flip(np.array(values), name="x", seed=0, alternative=alternative)
    assert test.test == f"sign-flip permutation, {alternative}, exact"
    assert test.statistic == pytest.approx(np.mean(values))
    assert test.p == pytest.approx(p)


@given(whole_numbers)
def test_sign_flip_against_every_pattern(values):
    sums = [
        sum(s * v for s, v in zip(signs, values, strict=True))
        for signs in product([1, -1], repeat=len(values))
    ]
    expected = sum(s >= sum(values) for s in sums) / len(sums)
    found = sign_flip(np.array(values), name="x", seed=0, alternative="greater").p
    assert found == pytest.approx(expected)


@given(whole_numbers, st.randoms(use_true_random=False))
def test_sign_flip_ignores_direction_and_order(values, random):
    shuffled = random.sample(values, len(values))
    two_sided = sign_flip(np.array(values), name="x", seed=0).p
    assert sign_flip(-np.array(values), name="x", seed=0).p == pytest.approx(two_sided)
    assert sign_flip(np.array(shuffled), name="x", seed=0).p == pytest.approx(two_sided)
    less = sign_flip(-np.array(values), name="x", seed=0, alternative="less").p
    greater = sign_flip(np.array(values), name="x", seed=0, alternative="greater").p
    assert less == pytest.approx(greater)


def test_sign_flip_by_monte_carlo_is_never_zero():
    # 2^30 patterns, of which one in a thousand million reaches the observed mean
    test = sign_flip(np.ones(30), name="x", seed=0, alternative="greater", draws=999)
    assert test.test == "sign-flip permutation, greater, 999 draws"
    assert test.p == pytest.approx(1 / 1000)


def test_sign_flip_by_monte_carlo_agrees_with_exact():
    values = np.random.default_rng(3).normal(0.4, 1, 12)
    exact = sign_flip(values, name="x", seed=0, draws=2**12)
    sampled = sign_flip(values, name="x", seed=0, draws=2**12 - 1)
    assert exact.test.endswith("exact")
    assert sampled.test.endswith("draws")
    # two-sided p doubles a one-sided share of 4095 draws
    deviation = 2 * (exact.p / 2 * (1 - exact.p / 2) / 4095) ** 0.5
    assert 0 < abs(sampled.p - exact.p) < 4 * deviation


def test_sign_flip_rejects_true_nulls_at_its_level():
    # Eight values have 128 mirrored pairs of patterns: the largest level up to 0.05 is 6 / 128.
    generator, simulations = np.random.default_rng(4), 1500
    rejected = sum(
        sign_flip(generator.standard_t(2, 8), name="null", seed=0).p <= 0.05
        for _ in range(simulations)
    )
    assert stats.binomtest(rejected, simulations, 6 / 128).pvalue > 0.001


def test_unusable_differences_are_errors():
    with pytest.raises(StatsError, match="found 1 clusters, need at least 2"):
        sign_flip(np.array([1.0]), name="x", seed=0)
    with pytest.raises(StatsError, match="need at least 2"):
        paired_t(np.array([1.0]), np.array([2.0]), name="x")


def test_rounding_is_no_difference():
    """0.1 + 0.2 is not 0.3, by 5.6e-17 each time: p was 9e-6."""
    sums, whole = np.array([0.1 + 0.2] * 9 + [0.3]), np.full(10, 0.3)
    assert paired_t(sums, whole, name="rounded").p is None
    assert paired_t(1e9 * sums, 1e9 * whole, name="rounded").p is None
    assert paired_t(sums - 0.3, whole - 0.3, name="far larger than what is compared").p < 0.05
