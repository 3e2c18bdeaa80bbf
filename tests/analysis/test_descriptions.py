"""The table over seeds, in small; and that what is published is what was preregistered."""

import sys

import numpy as np
import pytest
from scipy import stats

from analysis import descriptions
from analysis.old_names import read_table
from interp_rc.records.runs import Run


@pytest.mark.slow
def test_the_small_table_equals_means_and_t_intervals_by_hand(runs, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["descriptions", "--smoke", "--runs", str(runs)])
    descriptions.main()
    table = read_table(runs / "tables" / "descriptions.csv").set_index("name")
    name = "log_prob.both.forward.correct"
    values = [Run.open(runs / f"seed{s}").results()[name].value for s in (0, 1)]
    half = stats.t.ppf(0.975, 1) * np.std(values, ddof=1) / np.sqrt(2)
    found = table.loc[name]
    assert found.n == 2
    assert found.value == pytest.approx(np.mean(values), rel=1e-5)
    assert found.high - found.value == pytest.approx(half, rel=1e-4)
    tests = read_table(runs / "tables" / "descriptions_tests.csv")
    assert set(tests.correction) == {"holm"}
    assert len(tests) == 4


def test_the_committed_table_holds_every_preregistered_seed_once():
    plan = descriptions.prereg()
    table = read_table(descriptions.TABLES / "descriptions_by_seed.csv")
    rows = table[table.name == "exact_match.trained_backward.same"]
    assert sorted(rows.seed) == plan["seeds"] == list(range(10))
    assert not set(plan["seeds"]) & set(plan["tuning_seeds"])
