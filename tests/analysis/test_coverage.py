"""The simulation, in small, and that it looks at the very limits that are used."""

import numpy as np
import pytest

from analysis import coverage
from analysis.descriptions import TABLES
from analysis.old_names import read_table
from interp_rc.stats.rates import rate_limits


def test_what_the_simulation_takes_for_held_is_held_by_the_limits():
    draw = np.random.default_rng(0)
    right = draw.binomial(4, draw.beta(0.6, 0.9, (80, 8)))
    counts = np.stack([(right == k).sum(1) for k in range(5)], axis=1)
    limits = np.array([rate_limits(sample / 4) for sample in right])
    for mean in (0.03, 0.2, 0.4, 0.55, 0.8):
        low, high = coverage.limits_hold(counts, mean)
        assert (low == (limits[:, 0] <= mean)).all()
        assert (high == (limits[:, 1] >= mean)).all()


def test_facts_are_as_alike_as_they_should_be():
    draw = np.random.default_rng(1)
    for correlation in (0.0, 0.3, 1.0):
        rates = coverage.drawn(draw, 0.2, correlation, (200_000,))
        assert rates.mean() == pytest.approx(0.2, abs=0.003)
        assert rates.var() == pytest.approx(correlation * 0.2 * 0.8, abs=0.002)


@pytest.mark.slow
@pytest.mark.parametrize("facts", [10, 30])
def test_facts_of_many_kinds_are_covered(facts):
    for templates, correlation, mean in ((2, 0.0, 0.5), (10, 0.0, 0.05), (10, 0.3, 0.25)):
        row = coverage.over_facts(facts, templates, correlation, mean, samples=2000, seed=9)
        assert 0.93 - 3 * np.sqrt(0.93 * 0.07 / 2000) < row["coverage"] < 1
    assert 0.93 < coverage.over_seeds(5, 0.0, 0.5, samples=400, seed=9)["coverage"] < 1


def test_the_committed_table_is_never_below_93_percent_over_facts():
    table = read_table(TABLES / "coverage.csv")
    of_facts = table[table.unit == "fact"]
    assert of_facts.coverage.min() > 0.93 - 3 * np.sqrt(0.93 * 0.07 / 4000)
    middle = of_facts[of_facts["mean"].between(0.05, 0.95)]
    assert middle.coverage.mean() == pytest.approx(0.96, abs=0.015)
