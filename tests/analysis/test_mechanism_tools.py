"""The tools' table over seeds: preregistered tests by SciPy, and what is committed."""

import numpy as np
import pytest
from scipy import stats

from analysis import mechanism_tools
from analysis.descriptions import TABLES
from analysis.old_names import read_table

NAME = mechanism_tools.NAME


@pytest.fixture(scope="module")
def plan():
    return mechanism_tools.STUDY.prereg()


@pytest.fixture(scope="module")
def value():
    by_seed = read_table(TABLES / f"{NAME}_by_seed.csv")
    return by_seed.pivot(index="seed", columns="name", values="value")


@pytest.fixture(scope="module")
def tests(value, plan):
    return {test.name: test for test in mechanism_tools.STUDY.tests(value, plan)}


def test_the_committed_tests_are_those_of_the_committed_seeds(value, plan, tests):
    assert sorted(value.index) == plan["seeds"] == list(range(10))
    committed = read_table(TABLES / f"{NAME}_tests.csv").set_index("name")
    assert list(committed.index) == list(tests)
    for name, test in tests.items():
        assert committed.loc[name].p == pytest.approx(test.p, rel=1e-3, abs=1e-12)
        assert committed.loc[name].p_adjusted == pytest.approx(test.p_adjusted, rel=1e-3, abs=1e-12)
    over = read_table(TABLES / f"{NAME}.csv").set_index("name")
    for name in value:
        assert over.loc[name].value == pytest.approx(value[name].mean(), rel=1e-3, abs=1e-4)


def test_the_tests_by_scipy(value, tests):
    start = "memories.forward.trained_forward"
    top, drawn = (value[f"{start}.transplant.{kind}.k16"] for kind in ("top", "random"))
    expected = stats.ttest_rel(top, drawn, alternative="greater").pvalue
    assert tests["neurons.forward.more_than_random"].p == pytest.approx(expected)
    own, third = (
        value[f"{start}.exchange_with_{who}.other_target.k16"] for who in ("other", "third")
    )
    expected = stats.ttest_1samp(own - third, 0.6, alternative="less").pvalue
    assert tests["exchange.forward"].p == pytest.approx(expected)
    told = value["bilinear.finetuned.backward.trained_forward.prompt_last.z"]
    expected = stats.ttest_1samp(told, 0.2, alternative="less").pvalue
    assert tests["gained.backward.told_otherwise"].p == pytest.approx(expected)
    start = "movement.steps.trained_backward.step_16"
    less = value[f"{start}.name.layer_3"] - value[f"{start}.description.layer_3"]
    sides = [
        stats.ttest_1samp(less, -0.025, alternative="greater").pvalue,
        stats.ttest_1samp(less, 0.025, alternative="less").pvalue,
    ]
    assert tests["movement.backward.second_like_first"].p == pytest.approx(max(sides))
    source, others = (
        value[f"attention_cut.backward.trained_backward.{who}.all.over_foil"]
        for who in ("source", "others")
    )
    expected = stats.ttest_rel(source, others, alternative="greater").pvalue
    assert tests["attention.backward.source_more_than_others"].p == pytest.approx(expected)
    this, other = (
        value[f"logit_lens.forward.{group}.answer.resid_post.layer_3.over_foil"]
        for group in ("trained_forward", "trained_backward")
    )
    expected = stats.ttest_1samp(other - 0.1 * this, 0, alternative="less").pvalue
    assert tests["lens.forward"].p == pytest.approx(expected)


def test_holm_is_within_each_question(tests):
    for question in ("neurons", "movement", "gained"):
        family = [test for name, test in tests.items() if name.startswith(question)]
        smallest = min(family, key=lambda test: test.p)
        assert smallest.p_adjusted == pytest.approx(min(1, smallest.p * len(family)))


def test_every_test_of_nothing_has_its_power(plan):
    table = mechanism_tools.STUDY.power_table(plan, 10).set_index("name")
    assert set(table.index) == set(plan["margins"])
    assert table.value.between(0.5, 1).all()
    assert np.isfinite(table.value).all()


@pytest.mark.slow
def test_in_small(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["tools", "--smoke", "--seeds", "0", "--runs", str(tmp_path)])
    mechanism_tools.STUDY.main("")
    table = read_table(tmp_path / "tables" / f"{NAME}.csv")
    assert table.name.str.startswith("movement.").any()
    assert not (tmp_path / "tables" / f"{NAME}_tests.csv").exists()
