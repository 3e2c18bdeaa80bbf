"""Rates of parents and children: check values of the published tables, and small ones by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from interp_rc.evaluation.parents.rates import parent_rates, rates_table
from interp_rc.facts.parent_tables import read_parent_table
from tests.conftest import published


def rates_of(name):
    table = rates_table(parent_rates(read_parent_table(published("experiment2", name) / name)))
    return table.set_index(["counted", "parent_type"])


@pytest.mark.slow
def test_the_check_values_of_gpt_35():
    found = rates_of("gpt-3.5-turbo_reversal_test_results.csv").loc["all", "all"]
    assert found.pairs == 1513
    values = found.parent, found.child, found.any_parent, found.any_child
    expected = (34.8381, 11.9101, 53.139, 17.647)
    np.testing.assert_allclose(np.array(values, dtype=float), expected, atol=5e-4)


@pytest.mark.slow
def test_the_check_values_of_llama():
    found = rates_of("llama-7b_reversal_test_results.csv").loc["all", "all"]
    assert found.parent == pytest.approx(8.0352, abs=5e-5)
    assert found.child == pytest.approx(0.8656, abs=5e-5)


def test_the_check_values_of_gpt_4():
    found = rates_of("parent_child_pairs.csv")
    assert found.parent.isna().all()
    named = (found.child * found.pairs / 100).round(6)
    assert (named["all", "all"], found.pairs["all", "all"]) == (495, 1513)
    assert (named["all", "mother"], found.pairs["all", "mother"]) == (216, 764)
    assert (named["all", "father"], found.pairs["all", "father"]) == (279, 749)
    assert (named["joined", "all"], found.pairs["joined", "all"]) == (525, 1573)
    assert found.pairs["deduplicated", "all"] == 1511


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.csv"
    rows = ["A,M,mother,1,0", "A,F,father,0.5,0.1", "B,N,mother,0,0", "B,N,mother,0,0"]
    head = "child,parent,parent_type,m_can_find_parent,m_can_find_child"
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return read_parent_table(path)


def test_by_hand(small):
    found = rates_table(parent_rates(small)).set_index(["counted", "parent_type"])
    assert found.loc["all", "all"].parent == pytest.approx(100 * 1.5 / 4)
    assert found.loc["deduplicated", "all"].parent == pytest.approx(100 * 1.5 / 3)
    assert found.loc["joined", "all"].pairs == 2 + 2**5
    assert found.loc["joined", "mother"].child == 0
    assert found.loc["deduplicated", "all"].difference == pytest.approx(100 * 1.4 / 3)
    assert found.loc["all", "all"].any_parent == 50
    assert found.loc["all", "all"].children == 2
    assert np.isnan(found.loc["all", "father"].p)  # one child: nothing to flip


def test_joined_as_pandas_joins_five_tables(tmp_path):
    """Rows of a pair that came twice may differ: then each meets all combinations of the others."""
    head = "child,parent,parent_type,m_can_find_parent,m_can_find_child"
    rows = ["A,M,mother,1,0", "A,M,mother,0.4,0.3", "B,N,mother,0.2,0.1", "B,O,father,0,1"]
    path = tmp_path / "table.csv"
    path.write_text("\n".join([head, *rows]), encoding="utf-8")
    mine = pd.read_csv(path)
    whole = mine
    for number in range(4):
        other = mine[["child", "parent", "parent_type"]].assign(**{f"other{number}": mine.index})
        whole = whole.merge(other)
    found = rates_table(parent_rates(read_parent_table(path))).set_index(["counted", "parent_type"])
    assert found.pairs["joined", "all"] == len(whole) == 34
    assert found.parent["joined", "all"] == pytest.approx(100 * whole.m_can_find_parent.mean())
    assert found.child["joined", "all"] == pytest.approx(100 * whole.m_can_find_child.mean())


def test_children_are_the_unit(tmp_path):
    """A hundred children whose mother and father go together: the test is over children."""
    rows = ["child,parent,parent_type,m_can_find_parent,m_can_find_child"]
    draw = np.random.default_rng(0)
    for number in range(100):
        up, down = draw.random(2).round(1)
        rows += [f"{number},{one},{one},{up},{down}" for one in ("mother", "father")]
    path = tmp_path / "pairs.csv"
    path.write_text("\n".join(rows), encoding="utf-8")
    every, mothers, _ = parent_rates(read_parent_table(path))[:3]
    assert every.test.n == every.parent.n == 100
    assert every.test.p == pytest.approx(mothers.test.p, abs=0.05)
    width = every.difference.high - every.difference.low
    alone = mothers.difference.high - mothers.difference.low
    assert width == pytest.approx(alone, rel=0.15)


@pytest.mark.parametrize("children", [5, 40])
def test_a_rate_that_all_children_share_has_the_exact_interval(tmp_path, children):
    rows = ["child,parent,parent_type,can_reverse"]
    rows += [f"{number},{number}m,mother,false" for number in range(children)]
    path = tmp_path / "none.csv"
    path.write_text("\n".join(rows), encoding="utf-8")
    found = parent_rates(read_parent_table(path))[0].child
    exact = binomtest(0, children).proportion_ci(0.95, "exact")
    assert (found.value, found.low) == (0, 0)
    assert found.high == pytest.approx(exact.high)
