"""Experiment 2: what is collected is what the tables hold, and the page shows it."""

import sys

import pytest

from analysis.descriptions import TABLES
from analysis.old_names import read_table
from analysis.over_seeds import write_csv
from analysis.paper.__main__ import main
from analysis.paper.parent_tables import PUBLISHED, collect_parents, repeated
from analysis.paper.parts import Paper
from interp_rc.evaluation.parents.rates import Scored
from interp_rc.facts.parent_tables import read_parent_table
from interp_rc.pipeline.parents.score import names
from interp_rc.records.errors import DataError
from interp_rc.records.strict_json import read_json
from tests.analysis.paper.conftest import page_of, row_of, table_of
from tests.conftest import published

pytestmark = pytest.mark.slow

PAIR = "child,parent,parent_type"
TWICE = [
    f"{PAIR},owl_parent_logprob,owl_child_logprob",
    "A,M,mother,-1,-30",
    "A,M,mother,-3,-7",
    "B,N,mother,-2,-4",
    "B,N,mother,-2,-4",
    "C,O,father,-2,-4",
]
FOUND = [f"{PAIR},can_reverse", *(f"c{i},p{i},mother,{i % 4 == 0}" for i in range(8))]


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "answers"
    made.mkdir()
    (made / "owl.csv").write_text("\n".join(TWICE), encoding="utf-8")
    (made / "wren.csv").write_text("\n".join(FOUND), encoding="utf-8")
    return made


def collect(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["paper", *map(str, arguments)])
    return main()


def test_aggregates_alone_are_collected(folder, tmp_path, monkeypatch, capsys):
    out = tmp_path / "tables"
    assert collect(monkeypatch, "--tables", out, "collect", "--parents", folder) == 0
    assert "parents in" in capsys.readouterr().out
    rates = read_table(out / "parents.csv").set_index(["model", "counted", "parent_type"])
    assert rates.pairs["owl", "all", "all"] == 5
    assert rates.pairs["owl", "joined", "mother"] == 64
    assert rates.child["wren", "all", "all"] == 25
    assert not {"child_prediction", "line"} & set(rates.columns)
    again = read_table(out / "parents_repeated.csv").set_index("model")
    assert list(again.loc["owl"]) == [2, 1, 2, 23, "nat"]
    assert list(again.loc["wren"]) == [0, 0, 0, 0, "fraction"]
    assert read_json(out / "parents.environment.json")["table"]["commit"]
    assert not [file for file in out.iterdir() if "A,M" in file.read_text(encoding="utf-8")]


def test_a_folder_without_tables_is_an_error_of_ours(tmp_path, monkeypatch, capsys):
    assert collect(monkeypatch, "collect", "--parents", tmp_path) == 1
    assert "holds no CSV table" in capsys.readouterr().err
    with pytest.raises(DataError, match="no CSV"):
        collect_parents(tmp_path / "none", tmp_path, PUBLISHED)


def test_the_committed_differences_are_those_of_the_published_files(tmp_path):
    """The rates are compared where the command is tested."""
    folder = published("experiment2", "llama-7b_reversal_test_results.csv")
    tables = [read_parent_table(file) for file in sorted(folder.glob("*.csv"))]
    scored = [Scored(name, one, []) for name, one in zip(names(tables), tables, strict=True)]
    write_csv(tmp_path, "again", repeated(scored))
    committed = TABLES / "parents_repeated.csv"
    assert (tmp_path / "again.csv").read_bytes() == committed.read_bytes()


def test_the_page_shows_the_published_numbers_beside_the_tables(whole):
    rates = read_table(TABLES / "parents.csv").set_index(["model", "counted", "parent_type"])
    caption = "Rates of all rows"
    for model, label in (("gpt-3.5-turbo", "gpt-3.5-turbo"), ("llama-7b", "Llama-1 7B")):
        for named in ("parent", "child"):
            row = row_of(whole, caption, f"{label}, {named} named")
            first, joined, *_ = row[2].split("; ")
            value = rates[named][model, "all", "all"]
            assert first.startswith(f"1,513 pairs: {value:.1f}\u00a0%\u00a0[")
            assert f"{rates[named][model, 'joined', 'all']:.1f}\u00a0%" in joined
    row = row_of(whole, caption, "GPT-4, child named")
    assert row[1] == "33.0\u00a0%"
    assert "1,513 pairs: 32.7\u00a0%" in row[2]
    assert "joined, 1,573: 33.4\u00a0%" in row[2]
    row = row_of(whole, caption, "GPT-4, parent named")
    assert row[1] == "79.0\u00a0%"
    assert "by construction" in row[2]
    assert "1,573 pairs of 2,000 questions: 78.65\u00a0%" in row[2]
    types = table_of(whole, "All rows by type of parent")
    assert ["GPT-4", "mother", "764", "by construction"] in [row[:4] for row in types.rows]


def test_the_released_span_stands_beside_the_right_one(whole):
    span = read_table(TABLES / "released_span.csv")
    table = table_of(whole, "Log-probability of the target in nats")
    assert len(table.rows) == 1 + len(span)
    for row, there in zip(table.rows[1:], span.itertuples(), strict=True):
        said = f"{there.value:.2f}\u00a0nat".replace("-", "−")
        assert row[4].startswith(said)
        assert row[2] == f"{there.right:.2f}".replace("-", "−")
    assert "23.0 nat (child)" in whole.text


def test_what_was_not_asked_here_is_said_and_has_room(folder, tables, tmp_path, whole, bare):
    assert "no model that knows real people" in whole.text
    assert "collect --parents FOLDER" in bare.text
    own = tmp_path / "own"
    own.mkdir()
    (own / "parents.csv").write_bytes((tables / "parents.csv").read_bytes())
    collect_parents(folder, own, "parents_here")
    page = page_of(Paper(tmp_path / "figures", own), tmp_path)
    assert "no model that knows real people" not in page.text
    row = row_of(page, "Rates of all rows", "owl, child named")
    assert row[1:3] == ["—", "—"]
    assert row[3].startswith("5 pairs: ")
    assert row_of(page, "Rates of all rows", "wren, child named")[3].startswith("8 pairs: 25.0")
    assert "analysis/tables/parents_here.csv" in page.text


def test_one_seed_of_the_demo_made_the_span():
    made = read_json(TABLES / "released_span.environment.json")
    assert [run["commit"] for run in made["runs"]]
