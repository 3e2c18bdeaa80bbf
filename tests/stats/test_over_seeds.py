"""Means over seeds, against the formula and the exact bounds."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from interp_rc.stats.over_seeds import estimates_by_cell, mean_over_seeds


def rows(values, unit="nat", n=30, **columns):
    return pd.DataFrame({"value": values, "low": -1.0, "high": 9.0, "n": n, "unit": unit} | columns)


def test_the_mean_and_its_t_interval():
    found = mean_over_seeds(rows([1.0, 2.0, 6.0]))
    half = stats.t.ppf(0.975, 2) * np.std([1, 2, 6], ddof=1) / np.sqrt(3)
    assert (found.value, found.n, found.unit) == (3.0, 3, "nat")
    assert (found.low, found.high) == pytest.approx((3 - half, 3 + half))


def test_one_seed_keeps_its_own_interval_over_facts():
    found = mean_over_seeds(rows([np.nan, 4.0]))
    assert (found.value, found.low, found.high, found.n) == (4.0, -1.0, 9.0, 30)


def test_a_rate_that_never_differs_has_the_exact_bounds_that_all_facts_allow():
    found = mean_over_seeds(rows([0.0, 0.0, 0.0], unit="fraction"))
    assert (found.value, found.low, found.n) == (0.0, 0.0, 3)
    assert found.high == pytest.approx(1 - 0.025 ** (1 / 90))  # Clopper-Pearson for 0 of 90


def test_nothing_measured_is_nothing():
    found = mean_over_seeds(rows([np.nan]))
    assert (found.value, found.low, found.n) == (None, None, 0)


def test_cells_keep_the_order_of_the_table():
    table = rows([1.0, 3.0, 5.0, 7.0], rate=[2, 2, 1, 1], seed=[0, 1, 0, 1], name="gain")
    cells = estimates_by_cell(table, ["rate"])
    assert list(cells) == [(2,), (1,)]
    assert [of_cell["gain"].value for of_cell in cells.values()] == [2.0, 6.0]
    assert estimates_by_cell(table, [])[()]["gain"].value == 4.0
