"""The table of moved, written and cut weights over seeds: its tests by SciPy, and what is there."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis import markdown_weights
from analysis.descriptions import TABLES
from analysis.mechanism_weights import NAME, STUDY
from analysis.old_names import read_table


@pytest.fixture(scope="module")
def plan():
    return STUDY.prereg()


@pytest.fixture(scope="module")
def value():
    by_seed = read_table(TABLES / f"{NAME}_by_seed.csv")
    return by_seed.pivot(index="seed", columns="name", values="value")


@pytest.fixture(scope="module")
def tests(value, plan):
    return {test.name: test for test in STUDY.tests(value, plan)}


def test_the_committed_tests_are_those_of_the_committed_seeds(value, plan, tests):
    assert sorted(value.index) == plan["seeds"] == list(range(10))
    committed = read_table(TABLES / f"{NAME}_tests.csv").set_index("name")
    assert list(committed.index) == list(tests)
    for name, test in tests.items():
        assert committed.loc[name].n == test.n
        assert committed.loc[name].p == pytest.approx(test.p, rel=2e-3, abs=1e-12)
        assert committed.loc[name].p_adjusted == pytest.approx(test.p_adjusted, rel=2e-3, abs=1e-12)
    over = read_table(TABLES / f"{NAME}.csv").set_index("name")
    for name in value:
        assert over.loc[name].value == pytest.approx(value[name].mean(), rel=1e-3, abs=1e-4)


def test_the_tests_by_scipy(value, tests):
    def both(name):
        return (value[name.format("forward")] + value[name.format("backward")]) / 2

    greedy, drawn = (both(f"transplant.smallest.{{}}.{kind}.told") for kind in ("greedy", "random"))
    expected = stats.ttest_rel(greedy, drawn, alternative="greater").pvalue
    assert tests["weights.more_than_as_many"].p == pytest.approx(expected)
    taken = value[[n for n in value if n.startswith("transplant.taken.") and n.endswith(".same")]]
    assert taken.shape[1] == 11
    groups = ("trained_forward", "trained_backward")
    lead = sum(value[f"transplant.all.{group}.same.lead"] for group in groups) / 2
    expected = stats.ttest_1samp(taken.min(axis=1) + lead / 10, 0, alternative="greater").pvalue
    assert tests["weights.none_needed"].p == pytest.approx(expected)
    for order, told in zip(("backward", "forward"), groups, strict=True):
        back = value[f"transplant.all.{told}.reverse.fact"]
        sides = [
            stats.ttest_1samp(back, sign * 0.8, alternative=side).pvalue
            for sign, side in ((-1, "greater"), (1, "less"))
        ]
        assert tests[f"reverse.{order}"].p == pytest.approx(max(sides))
    for order in ("forward", "backward"):
        greedy, as_large = (
            value[f"transplant.smallest.{order}.{which}.told"] for which in ("greedy", "as_large")
        )
        expected = stats.ttest_1samp(greedy - as_large, 0.8, alternative="less").pvalue
        assert tests[f"weights.{order}.as_many_weights"].p == pytest.approx(expected)
    other = value["update_geometry.trained_backward.forward.path.all.bound"]
    expected = stats.ttest_1samp(other, 0.8, alternative="less").pvalue
    assert tests["readout.forward.told_otherwise"].p == pytest.approx(expected)
    lost = -value["editing.told_both.one_way.old_reverse_lead"]
    expected = stats.ttest_1samp(lost, 0.6, alternative="less").pvalue
    assert tests["way_back.left"].p == pytest.approx(expected)
    ratio = value["erasure.both.backward.gradient.ratio"].dropna()
    expected = stats.ttest_1samp(ratio, 0.5, alternative="less").pvalue
    assert tests["erasure.backward.gradient.other_order"].p == pytest.approx(expected)


def test_what_cancels_over_orders_is_no_nothing(value, plan):
    """2 nat in one order and -2 in the other were nothing, on the average of both."""
    spread = np.random.default_rng(0).normal(scale=0.1, size=(2, len(value)))
    made = value.assign(
        **{
            "transplant.all.trained_forward.reverse.fact": 2 + spread[0],
            "transplant.all.trained_backward.reverse.fact": -2 + spread[1],
        }
    )
    found = {test.name: test.p for test in STUDY.tests(made, plan)}
    assert min(found["reverse.forward"], found["reverse.backward"]) > 0.99


def test_every_test_of_nothing_has_its_power(plan):
    table = STUDY.power_table(plan, 10).set_index("name")
    assert set(table.index) == set(plan["margins"])
    assert table.value.between(0.5, 1).all()
    assert np.isfinite(table.value).all()


def test_every_claim_has_its_tests(tests):
    dropped = {*markdown_weights.ASKED, *markdown_weights.METHODS}
    claims = {".".join(p for p in name.split(".") if p not in dropped) for name in tests}
    assert claims == set(markdown_weights.CLAIMS)


@pytest.mark.slow
def test_in_small(tmp_path, monkeypatch):
    """Twice: the second time, with measures that the runs of another table have."""
    arguments = ["weights", "--smoke", "--seeds", "0", "--runs", str(tmp_path)]
    monkeypatch.setattr("sys.argv", arguments)
    STUDY.main("")
    table = read_table(tmp_path / "tables" / f"{NAME}.csv")
    assert table.name.str.startswith("update_geometry.").any()
    assert not (tmp_path / "tables" / f"{NAME}_tests.csv").exists()
    STUDY.main("")
    again = read_table(tmp_path / "tables" / f"{NAME}.csv")
    pd.testing.assert_frame_equal(table, again)
