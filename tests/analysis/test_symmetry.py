"""The table of the symmetry benchmark, in small; and what is committed of it."""

import json
import sys

import numpy as np
import pytest

from analysis import symmetry
from analysis.descriptions import TABLES
from analysis.old_names import read_table
from interp_rc.facts.relations import relations
from interp_rc.measures.symmetry.pools import symmetry_of
from interp_rc.records.runs import Run
from tests.conftest import published


@pytest.mark.slow
def test_the_small_table_is_what_the_run_found(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["symmetry", "--smoke", "--runs", str(tmp_path)])
    symmetry.main()
    table = read_table(tmp_path / "tables" / "symmetry.csv").set_index("name")
    results = Run.open(tmp_path / "seed0").results()
    assert list(table.index) == list(results)
    name = "symmetry.left_out.two_labels.names.lookup.after"
    assert table.loc[name, "value"] == pytest.approx(results[name].value, rel=1e-5)
    assert (tmp_path / "tables" / "symmetry.environment.json").is_file()


@pytest.mark.slow
def test_the_small_table_about_published_rows(tmp_path, monkeypatch):
    table = published("symmetry", "sym_train.tsv") / "sym_train.tsv"
    options = ["--smoke", "--published", str(table), "--runs", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["symmetry", *options])
    symmetry.main()
    run = Run.open(tmp_path / "seed0")
    assert run.config()["facts"]["kind"] == "published_symmetry"
    found = read_table(tmp_path / "tables" / "symmetry_published.csv").set_index("name")
    assert list(found.index) == list(run.results())
    assert not found.index.str.startswith("symmetry.left_out.").any()
    assert not (tmp_path / "tables" / "symmetry_published_left_out.csv").exists()


def test_the_committed_rates_are_those_of_the_counted_relations():
    table = read_table(TABLES / "symmetry.csv").set_index("name")
    counted = read_table(TABLES / "symmetry_left_out.csv")
    for variant, rows in counted[counted.when == "after"].groupby("variant"):
        assert set(rows.left_out) == set(relations())
        rates = (rows.hits / rows.n).groupby(rows.left_out.map(symmetry_of)).mean()
        name = f"symmetry.left_out.two_labels.names.{variant}.after"
        assert table.loc[name, "value"] == pytest.approx(np.mean(rates), rel=1e-5)


@pytest.mark.parametrize("name", ["symmetry", "symmetry_published"])
def test_the_committed_run_says_where_it_was_made(name):
    made = json.loads((TABLES / f"{name}.environment.json").read_text(encoding="utf-8"))
    assert all(len(run["commit"]) == 40 for run in made["runs"])
