"""The table of the mechanism: shares, preregistered tests, and what is committed."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis import mechanism
from analysis.descriptions import TABLES
from analysis.old_names import read_table
from analysis.over_seeds import environments
from interp_rc.records.files import write_json
from interp_rc.records.runs import Run


@pytest.fixture(scope="module")
def plan():
    return mechanism.prereg()


def estimates(seed, total, effect):
    """What separates two facts in each order, and what the sites of the plan restore."""
    rows = []
    for order, told, other in (
        ("forward", "trained_forward", "trained_backward"),
        ("backward", "trained_backward", "trained_forward"),
    ):
        at = f"patching.{order}"
        rows += [
            (f"{at}.{told}.total", total),
            (f"{at}.{told}.learnt", 1.0),
            (f"{at}.{told}.mlp_out.layer_0.source_all", effect),
            (f"{at}.{other}.mlp_out.layer_0.source_all", 0.01 * effect),
            (f"{at}.{told}.resid_post.layer_3.prompt_last", effect if order == "backward" else 0.0),
        ]
    return [(seed, name, value, 30, "nat") for name, value in rows]


USABLE = {(0, "forward"), (0, "backward")}
COLUMNS = ["seed", "name", "value", "n", "unit"]


def test_shares_are_of_the_facts_told_in_the_order_asked_in():
    table = mechanism.with_shares(pd.DataFrame(estimates(0, 16.0, 12.0), columns=COLUMNS), USABLE)
    shares = table[table.unit == "share"].set_index("name").value
    assert shares["patching_share.forward.trained_forward.mlp_out.layer_0.source_all"] == 0.75
    other = shares["patching_share.forward.trained_backward.mlp_out.layer_0.source_all"]
    assert other == pytest.approx(0.12 / 16)
    assert not [name for name in shares.index if name.endswith(("learnt", "told.total"))]


def test_no_share_of_a_total_whose_interval_includes_zero():
    table = mechanism.with_shares(pd.DataFrame(estimates(0, 1.0, 12.0), columns=COLUMNS), set())
    assert (table.unit == "nat").all()


def test_the_tests_of_where_by_scipy(plan):
    draw = np.random.default_rng(0)
    effects = draw.normal(12, 2, 10)
    rows = [row for seed, effect in enumerate(effects) for row in estimates(seed, 16.0, effect)]
    usable = {(seed, order) for seed in range(10) for order in ("forward", "backward")}
    table = mechanism.with_shares(pd.DataFrame(rows, columns=COLUMNS), usable)
    value = table.pivot(index="seed", columns="name", values="value")
    tests = {test.name: test for test in mechanism.where(value, plan)}
    more = stats.ttest_1samp(effects / 16, 0.5, alternative="greater")
    assert tests["where_source.forward"].p == pytest.approx(more.pvalue)
    less = stats.ttest_1samp(0.01 * effects / 16, 0.1, alternative="less")
    assert tests["where_other_way.backward"].p == pytest.approx(less.pvalue)
    answer = stats.ttest_1samp(effects / 16 - 0.2, 0, alternative="greater")
    assert tests["where_answer"].p == pytest.approx(answer.pvalue)


def test_each_equivalence_has_its_power(plan):
    table = mechanism.power_table(plan, 10).set_index("name")
    assert set(table.index) == {"gradient", "probe.backward", "probe.forward", "where_other_way"}
    assert table.value.between(0.5, 1).all()


def test_the_committed_tables_are_of_the_preregistered_seeds(plan):
    by_seed = read_table(TABLES / "mechanism_by_seed.csv")
    assert sorted(by_seed.seed.unique()) == plan["seeds"] == list(range(10))
    over = read_table(TABLES / "mechanism.csv").set_index("name")
    name = "gradient_cosine.base.trained_forward.reverse.all"
    values = by_seed[by_seed.name == name].value
    assert over.loc[name].value == pytest.approx(values.mean(), rel=1e-4)
    assert over.loc[name].n == 10
    assert len(read_table(TABLES / "mechanism_tests.csv")) == 11


@pytest.mark.slow
def test_in_small(runs, monkeypatch):
    """The whole path; the small runs learn nothing, so that there is nothing to test."""
    monkeypatch.setattr("sys.argv", ["mechanism", "--smoke", "--runs", str(runs)])
    mechanism.main()
    table = read_table(runs / "tables" / "mechanism.csv").set_index("name")
    assert table.loc["gradient_cosine.base.both.paraphrase.all"].n == 2
    assert "exact_match.both.forward" not in table.index
    assert not (runs / "tables" / "mechanism_tests.csv").exists()


def test_every_environment_of_a_run_is_told(tmp_path):
    """Measures that were added later were made by later code."""
    run = Run(tmp_path)
    write_json(run.environment_file, {"commit": "a", "seed": 3, "cores": 2})
    changed = {"event": "environment", "changed": {"commit": "b"}}
    lines = [json.dumps(line) for line in ({"event": "stage"}, changed)]
    run.log_file.write_text("\n".join(lines), encoding="utf-8")
    found = list(environments(run))
    assert found == [{"commit": "a", "cores": 2}, {"commit": "b", "cores": 2}]
