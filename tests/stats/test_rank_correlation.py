"""Rank correlations: closed form, SciPy's own, coverage, and what has none."""

import numpy as np
import pytest
from scipy import stats

from interp_rc.records.errors import StatsError
from interp_rc.stats.rank_correlation import _ranked, spearman, spearman_change

GENERATOR = np.random.default_rng(100)
FIRST = GENERATOR.normal(size=80)
SECOND = FIRST + GENERATOR.normal(size=80)
GRADES = np.round(FIRST * 1.5)


def test_closed_form_without_ties():
    """1 - 6 Σd² / n(n² - 1)."""
    one, other = np.array([1.0, 2, 3, 4, 5]), np.array([1.0, 3, 2, 5, 4])
    found = spearman(one, other, seed=1)
    assert found.value == pytest.approx(1 - 6 * 4 / (5 * 24))
    assert (found.n, found.unit) == (5, "correlation")


def test_ties_and_rows_are_as_scipy_ranks_them():
    drawn = GENERATOR.integers(0, 80, size=(4, 80))
    expected = [stats.spearmanr(SECOND[row], GRADES[row]).statistic for row in drawn]
    np.testing.assert_allclose(_ranked(SECOND[drawn], GRADES[drawn]), expected)
    found = spearman(SECOND, GRADES, seed=1)
    assert found.value == pytest.approx(stats.spearmanr(SECOND, GRADES).statistic)
    assert found.low < found.value < found.high
    assert spearman(SECOND, GRADES, seed=1) == found


def test_the_interval_is_near_that_of_plain_draws():
    found = spearman(SECOND, GRADES, seed=1)
    draws = [GENERATOR.integers(0, 80, 80) for _ in range(1000)]
    ranks = [stats.spearmanr(SECOND[row], GRADES[row]).statistic for row in draws]
    assert [found.low, found.high] == pytest.approx(np.quantile(ranks, [0.025, 0.975]), abs=0.05)


def test_a_change_is_paired():
    """A little noise changes a paired difference less than either correlation is uncertain."""
    after = SECOND + GENERATOR.normal(size=80) * 0.01
    found = spearman_change(SECOND, after, GRADES, seed=1)
    before = spearman(SECOND, GRADES, seed=1)
    expected = stats.spearmanr(after, GRADES).statistic - before.value
    assert found.value == pytest.approx(expected)
    assert found.high - found.low < 0.2 * (before.high - before.low)
    lost = spearman_change(FIRST, GENERATOR.normal(size=80), GRADES, seed=1)
    assert lost.high < -0.5


def test_what_has_no_correlation_or_no_interval():
    constant = np.ones(80)
    for found in (
        spearman(constant, GRADES, seed=1),
        spearman_change(SECOND, constant, GRADES, seed=1),
    ):
        assert (found.value, found.low, found.high, found.n) == (None, None, None, 80)
    same = spearman_change(SECOND, SECOND, GRADES, seed=1)
    assert (same.value, same.low, same.high) == (0, None, None)


def test_what_is_refused():
    with pytest.raises(StatsError, match="80 values against 79"):
        spearman(FIRST, SECOND[1:], seed=1)
    with pytest.raises(StatsError, match="at least 3"):
        spearman(FIRST[:2], SECOND[:2], seed=1)
    with pytest.raises(StatsError, match="NaN"):
        spearman_change(FIRST, np.full(80, np.nan), GRADES, seed=1)
