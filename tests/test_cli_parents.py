"""`interp-rc parents score`: data on stdout, refusals on stderr; check values as published."""

import re
import sys

import pandas as pd
import pytest

from analysis.descriptions import TABLES
from interp_rc import cli
from tests.conftest import published

HEAD = "child,parent,parent_type,child_prediction,owl_can_find_parent,owl_can_find_child\n"


@pytest.fixture
def score(monkeypatch, capfd, tmp_path):
    """Runs the command in a folder of its own; gives exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["interp-rc", "parents", "score", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return end.value.code or 0, *capfd.readouterr()

    return run


def test_help_has_examples(score):
    code, out, _ = score("--help")
    assert code == 0
    assert "interp-rc parents score results/*.csv --out" in out


def test_a_table_with_every_fault_is_scored_without_its_faulty_rows(score, tmp_path):
    good = ['"Day, Ann","Eve ""Bo"" Day",mother,,1,0\n', "Éva,Jo,father,,0.5,0.5\n"]
    bad = ["a,b,mother,,,1\n", "a,b,aunt,,1,1\n", "a,b,mother,1,1\n", "a,b,mother,,half,1\n"]
    text = (HEAD + "".join(good + bad)).encode() + "Zoë,Jo,mother,,1,1\n".encode("latin-1")
    (tmp_path / "owl.csv").write_bytes(text)
    code, out, err = score("owl.csv")
    assert code == 0
    assert re.search(r"all +all +2 +75\.00 .* 25\.00 ", out)
    assert [line.split(":")[1] for line in err.splitlines()[:5]] == ["4", "5", "6", "7", "8"]
    assert "UTF-8" in err.splitlines()[4]
    assert err.splitlines()[-1] == "owl.csv: 5 of 7 rows left out, the others are scored"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no column 'child'"),
        ("child,parent,parent_type\na,b,mother\n", "answers of one model"),
        (HEAD + '"a,b,mother,,1,1\n', "is not CSV"),
        (HEAD + "a,b,aunt,,1,1\n", "no row that can be scored"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line_and_exit_code_1(score, tmp_path, text, message):
    (tmp_path / "owl.csv").write_text(text, encoding="utf-8")
    (tmp_path / "good.csv").write_text(HEAD + "a,b,mother,,1,1\n", encoding="utf-8")
    code, out, err = score("good.csv", "owl.csv", "--out", "pages")
    assert (code, out) == (1, "")
    assert err.startswith("error: owl.csv")
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "pages").exists()


def test_no_file_is_usage(score):
    assert score()[0] == 2


@pytest.mark.slow
def test_the_published_tables_give_the_check_values(score, tmp_path):
    files = [
        "gpt-3.5-turbo_reversal_test_results.csv",
        "llama-7b_reversal_test_results.csv",
        "parent_child_pairs.csv",
    ]
    folder = published("experiment2", files[0])
    code, out, err = score(*(folder / file for file in files), "--out", "scored")
    assert code == 0
    assert [line for line in err.splitlines() if ".csv" in line] == []  # no row is refused
    committed = pd.read_csv(TABLES / "parents.csv")
    rates = pd.read_csv(tmp_path / "scored" / "rates.csv")
    pd.testing.assert_frame_equal(rates, committed)
    rates = rates.set_index(["model", "counted", "parent_type"])
    gpt = rates.loc["gpt-3.5-turbo", "all", "all"]
    assert (gpt.pairs, gpt.parent, gpt.child) == (1513, 34.8381, 11.9101)
    assert gpt.any_parent == pytest.approx(53.139, abs=1e-3)
    assert gpt.any_child == pytest.approx(17.647, abs=1e-3)
    llama = rates.loc["llama-7b", "all", "all"]
    assert (round(llama.parent, 4), round(llama.child, 4)) == (8.0352, 0.8656)
    found = rates.loc["parent_child_pairs"]
    named = (found.child * found.pairs / 100).round()
    assert (named["all", "all"], named["all", "mother"], named["all", "father"]) == (495, 216, 279)
    assert (named["joined", "all"], found.pairs["joined", "all"]) == (525, 1573)
    assert "by construction" in out
