import math

import numpy as np
import pytest
from statsmodels.stats.power import TTestPower

from interp_rc.records.errors import StatsError
from interp_rc.stats.differences import paired_t
from interp_rc.stats.equivalence import non_superiority, tost
from interp_rc.stats.power import power, smallest_n

exact = TTestPower()


def agrees(estimate, expected):
    return abs(estimate.value - expected) < 3.3 * (expected * (1 - expected) / estimate.n) ** 0.5


def test_paired_t_against_the_noncentral_t():
    estimate = power("paired_t", 20, mean=1.0, sd=2.0, seed=0)
    assert agrees(estimate, exact.power(0.5, 20, 0.05))
    assert estimate.low < estimate.value < estimate.high
    assert (estimate.n, estimate.unit) == (2000, "fraction")


def test_non_superiority_against_the_noncentral_t():
    estimate = power("non_superiority", 15, mean=0.2, sd=2.0, margin=1.2, seed=0)
    assert agrees(estimate, exact.power(-0.5, 15, 0.05, alternative="smaller"))


def test_tost_against_the_noncentral_t():
    # Where both one-sided tests nearly always reject, at most one fails: 1 - 2 * (1 - power).
    one_sided = exact.power(0.5, 40, 0.05, alternative="larger")
    assert agrees(power("tost", 40, mean=0.0, sd=1.0, margin=0.5, seed=0), 2 * one_sided - 1)


@pytest.mark.parametrize("design", ["non_superiority", "tost"])
def test_on_the_margin_power_is_the_level(design):
    estimate = power(design, 20, mean=2.0, sd=1.0, margin=2.0, seed=0, alpha=0.1)
    assert agrees(estimate, 0.1)


@pytest.mark.parametrize(
    ("design", "margin", "test"),
    [
        ("paired_t", None, lambda x: paired_t(x, np.zeros(8), name="x")),
        ("non_superiority", 0.6, lambda x: non_superiority(x, 0.6, name="x")),
        ("tost", 0.6, lambda x: tost(x, 0.6, name="x")),
    ],
)
def test_it_is_the_power_of_the_very_test(design, margin, test):
    samples = np.random.default_rng(7).normal(0.1, 0.5, (200, 8))
    rejected = sum(test(sample).p < 0.05 for sample in samples)
    estimate = power(design, 8, mean=0.1, sd=0.5, margin=margin, seed=7, simulations=200)
    assert 0 < rejected < 200
    assert estimate.value == rejected / 200


def test_smallest_n_against_the_noncentral_t():
    found = smallest_n("paired_t", 0.8, mean=0.5, sd=1.0, seed=0, simulations=5000)
    # Power rises by about 0.012 a pair here, twice the simulation's standard error.
    assert abs(found - math.ceil(exact.solve_power(0.5, None, 0.05, 0.8))) <= 2
    assert power("paired_t", found, mean=0.5, sd=1.0, seed=0, simulations=5000).value >= 0.8
    assert power("paired_t", found - 1, mean=0.5, sd=1.0, seed=0, simulations=5000).value < 0.8


def test_smallest_n_is_null_out_of_reach():
    assert smallest_n("tost", 0.8, mean=1.0, sd=1.0, margin=1.0, seed=0, largest=64) is None
    needed = smallest_n("non_superiority", 0.8, mean=0.0, sd=1.0, margin=0.5, seed=0)
    arguments = {"mean": 0.0, "sd": 1.0, "margin": 0.5, "seed": 0}
    assert smallest_n("non_superiority", 0.8, **arguments, largest=needed) == needed
    assert smallest_n("non_superiority", 0.8, **arguments, largest=needed - 1) is None


def test_a_huge_effect_needs_two():
    assert smallest_n("paired_t", 0.8, mean=1000.0, sd=1.0, seed=0) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n": 1}, "found n = 1"),
        ({"sd": 0.0}, "sd = 0.0"),
        ({"alpha": 1.0}, "alpha = 1.0"),
        ({"margin": None}, "tost needs a margin"),
        ({"margin": -1.0}, "found margin -1.0"),
        ({"design": "paired_t"}, "paired_t has no margin"),
    ],
)
def test_impossible_designs_are_errors(changes, message):
    arguments = {"design": "tost", "n": 10, "mean": 0.0, "sd": 1.0, "margin": 1.0, "seed": 0}
    with pytest.raises(StatsError, match=message):
        power(**(arguments | changes))


def test_wanted_power_is_a_fraction():
    with pytest.raises(StatsError, match="wanted power of 80"):
        smallest_n("paired_t", 80, mean=1.0, sd=1.0, seed=0)
