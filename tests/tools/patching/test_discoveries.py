"""False discoveries are as rare as promised, and real effects are found."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from interp_rc.engine.effect_estimates import beyond_floor
from interp_rc.tools.patching.discoveries import discoveries, is_discovery


def table(effects):
    """Effects [site, fact, template] as a map's table."""
    rows = [
        {"site": "mlp_out", "layer": layer, "place": "source_last", "fact": f"f{f}",
         "effect": effect, "structural_zero": False}
        for layer, site in enumerate(effects)
        for f, fact in enumerate(site)
        for effect in fact
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_one_test_by_hand():
    effects = np.array([1.0, 2.0, 4.0, 3.0])
    test = beyond_floor(effects, 0.5, "here")
    expected = stats.ttest_1samp(effects, 0.5)
    assert (test.statistic, test.p) == pytest.approx((expected.statistic, expected.pvalue))
    mirrored = beyond_floor(-effects, 0.5, "here")
    assert mirrored.p == pytest.approx(test.p)
    assert beyond_floor(effects, 3.0, "here").p == 1


def test_prompts_of_one_fact_count_once():
    draw = np.random.default_rng(0)
    facts = draw.normal(0.3, 1, (1, 12, 1))
    one = discoveries(table(facts), 0.0, "m")[0]
    repeated = discoveries(table(facts.repeat(10, axis=2)), 0.0, "m")[0]
    assert repeated.p == pytest.approx(one.p)
    assert repeated.n == 12


def test_noise_within_the_floor_is_no_discovery():
    """Rounding leans to one side: without the floor it would be significant."""
    draw = np.random.default_rng(1)
    effects = draw.normal(1e-7, 1e-8, (20, 30, 2))
    assert all(map(is_discovery, discoveries(table(effects), 0.0, "m")))
    assert not any(map(is_discovery, discoveries(table(effects), 1e-6, "m")))


@pytest.mark.slow
def test_false_discoveries_stay_below_the_rate():
    draw = np.random.default_rng(2)
    rates, found = [], []
    for _ in range(150):
        shift = np.zeros((20, 1, 1))
        shift[:4] = 2.0
        tests = discoveries(table(draw.normal(0, 1, (20, 15, 1)) + shift), 0.0, "m")
        hits = [is_discovery(test) for test in tests]
        rates.append(sum(hits[4:]) / max(1, sum(hits)))
        found.append(sum(hits[:4]) / 4)
    assert np.mean(rates) < 0.06  # 5 % x 16/20 expected
    assert np.mean(rates) > 0.01  # the test is not merely silent
    assert np.mean(found) > 0.95


def test_structural_zeros_are_left_out():
    rows = table(np.random.default_rng(3).normal(size=(3, 10, 1)))
    rows.loc[rows.layer == 1, "structural_zero"] = True
    names = [test.name for test in discoveries(rows, 0.0, "m")]
    assert names == ["m.mlp_out.layer_0.source_last", "m.mlp_out.layer_2.source_last"]


def test_one_effect_of_all_facts_is_no_chance():
    same = np.full(8, -0.5)
    assert beyond_floor(same, 0.1, "x").p == 0
    assert beyond_floor(same, 0.6, "x").p == 1
