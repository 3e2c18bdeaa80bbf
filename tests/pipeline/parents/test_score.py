"""Tables of invented models, scored: named, counted, written; and what is refused."""

import re

import pandas as pd
import pytest

from interp_rc.evaluation.parents.rates import CONDITIONED
from interp_rc.pipeline.parents.score import names, refusals, score_files, write_scores
from interp_rc.pipeline.parents.words import text
from interp_rc.records.errors import DataError

PAIR = "child,parent,parent_type"
SHARES = f"{PAIR},owl_can_find_parent,owl_can_find_child"
FOUND = f"{PAIR},can_reverse"


@pytest.fixture
def table(tmp_path):
    def write(name, *lines, encoding="utf-8"):
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n", encoding=encoding)
        return path

    return write


def shares(count, *, head=SHARES):
    """Every parent named in eight of ten, every third child always."""
    rows = [f"c{i},p{i},{('mother', 'father')[i % 2]},0.8,{int(i % 3 == 0)}" for i in range(count)]
    return [head, *rows]


def test_rates_as_a_table_of_their_own(table, tmp_path):
    page = write_scores(score_files([table("owl.csv", *shares(30))]), tmp_path / "out")
    rates = pd.read_csv(tmp_path / "out" / "rates.csv").set_index(["counted", "parent_type"])
    whole = rates.loc["all", "all"]
    assert (whole.file, whole.model, whole.pairs) == ("owl.csv", "owl", 30)
    assert whole.parent == pytest.approx(80)
    assert whole.child == pytest.approx(100 / 3, abs=1e-3)
    assert whole.difference == pytest.approx(80 - 100 / 3, abs=1e-3)
    assert whole.difference_low < whole.difference < whole.difference_high
    assert (whole.any_parent, whole.p < 0.01) == (100, True)
    assert rates.pairs["all", "mother"] == rates.pairs["joined", "father"] == 15
    drawn = {file.name for file in (tmp_path / "out" / "figures").iterdir()}
    assert drawn == {"parents.svg", "parents.dark.svg", "parents.png"}
    assert page == tmp_path / "out" / "report.html"


def test_the_page_needs_nothing_else_and_says_what_it_shows(table, tmp_path):
    files = [
        table("owl.csv", *shares(30), "x,y,aunt,1,1"),
        table("hen.csv", FOUND, *(f"c{i},p{i},mother,{i % 2 == 0}" for i in range(20))),
    ]
    page = write_scores(score_files(files), tmp_path / "out").read_text(encoding="utf-8")
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    said = re.sub(r"\s+", " ", page.replace("\N{NO-BREAK SPACE}", " "))
    assert "owl names the parent in 80.0 %" in said
    assert "hen names the child in 50.0 %" in said
    assert "by construction" in said
    assert "two denominators" in said
    assert "parent_type &#39;aunt&#39;" in said


def test_names_in_a_table_are_not_markup(table, tmp_path):
    head = SHARES.replace("owl", "<b>owl</b>")
    files = [table("owl.csv", *shares(4, head=head), "<i>x</i>,y,<i>aunt</i>,1,1")]
    page = write_scores(score_files(files), tmp_path / "out").read_text(encoding="utf-8")
    assert "<b>" not in page
    assert "<i>" not in page
    assert "&lt;b&gt;owl" in page


def test_words_stay_within_a_hundred_columns_and_say_what_was_conditioned(table):
    owl = table("owl.csv", *shares(400))
    hen = table("hen.csv", FOUND, *(f"c{i},p{i},mother,{i % 2 == 0}" for i in range(20)))
    said = text(score_files([owl, hen]))
    assert max(map(len, said.splitlines())) <= 100
    first, second = said.split("\n\n")
    assert re.search(r"all +all +400 +80\.00 \[79\.\d, 80\.\d\] +33\.50 \[", first)
    assert "At least one sampled response" in first
    assert "denominators" not in first
    assert CONDITIONED in re.sub(r"\s+", " ", second)
    assert "difference" not in second
    assert re.search(r"all +all +20 +50\.00 \[", second)


def test_the_first_refused_rows_are_named_then_counted(table):
    path = table("owl.csv", *shares(4), *["a,b,aunt,1,1"] * 7)
    lines = list(refusals(score_files([path])))
    assert lines[0] == f"{path}:6: parent_type 'aunt', known: mother, father"
    assert len(lines) == 6
    assert lines[-1] == f"{path}: 2 more like these; 7 of 11 rows left out, the others are scored"
    assert list(refusals(score_files([table("all.csv", *shares(4))]))) == []


def test_models_of_the_same_name_are_told_apart_by_their_files(table):
    files = [
        table("a.csv", *shares(4)),
        table("b.csv", *shares(4)),
        table("c.csv", FOUND, "a,b,mother,1"),
    ]
    scored = score_files(files)
    assert [one.name for one in scored] == [f"owl ({files[0]})", f"owl ({files[1]})", "c"]
    assert names([scored[0].table]) == ["owl"]


def test_one_file_that_cannot_be_read_stops_all(table, tmp_path):
    with pytest.raises(DataError, match="no column 'parent_type'"):
        score_files([table("a.csv", *shares(4)), table("b.csv", "child,parent", "a,b")])
    with pytest.raises(DataError, match="file not found"):
        score_files([tmp_path / "none.csv"])
