"""Pairs from the command line: written, imported, shown and checked."""

import json
import sys

import pytest

from interp_rc import cli
from interp_rc.facts.folder import read_facts, write_facts
from interp_rc.facts.symmetry import symmetry

HEAD = "textid\ttext\tpair\trelation\tsymmetry\tlabel\n"
ENDINGS = {
    "is a sibling of": "is a sibling of\tsymmetric\tentailment",
    "is part of": "is part of\tasymmetric\tneutral",
}


@pytest.fixture
def command(monkeypatch, capfd, tmp_path):
    """Runs `interp-rc facts …` in a folder of its own; gives exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        capfd.readouterr()
        monkeypatch.setenv("COLUMNS", "200")
        monkeypatch.setattr(sys, "argv", ["interp-rc", "facts", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return end.value.code or 0, *capfd.readouterr()

    return run


@pytest.fixture
def table(tmp_path):
    """Twenty sound rows, the first broken over three lines; written with whatever comes after."""

    def written(*more):
        rows = ['900\t"ada\n is a sibling of bo"\t"bo is a sibling of ada\n"\t'
                f"{ENDINGS['is a sibling of']}\n"]  # fmt: skip
        for number in range(19):
            words = list(ENDINGS)[number % 2]
            one, other = f"x{number}", f"y{number}"
            texts = f"{one} {words} {other}\t{other} {words} {one}"
            rows.append(f"{number}\t{texts}\t{ENDINGS[words]}\n")
        path = tmp_path / "table.tsv"
        path.write_text(HEAD + "".join([*rows, *more]), encoding="utf-8")
        return path

    return written


def test_help_has_examples(command):
    assert "interp-rc facts symmetry --count 400000" in command("symmetry", "--help")[1]
    assert "symmetry table" in command("import", "--help")[1]


def test_symmetry_writes_both_files(command, tmp_path):
    code, out, err = command(
        "symmetry", "--count", 40, "--test", 6, "--label-set", "two_labels", "--entities", "ids",
        "--held-out", "--seed", 3, "--out", "pairs",
    )  # fmt: skip
    assert (code, out) == (0, "")
    assert "40 pairs to train on and 6 to test on" in err
    lines = (tmp_path / "pairs" / "test.jsonl").read_text().splitlines()
    row = json.loads(lines[0])
    assert len(lines) == 6
    assert (row["label_set"], row["entities"], row["held_out"]) == ("two_labels", "ids", True)
    assert command("symmetry", "--count", -1, "--out", "more")[0] == 2
    assert command("symmetry", "--label-set", "four", "--out", "more")[0] == 2
    assert not (tmp_path / "more").exists()


def test_the_published_table_is_imported_with_a_note(command, table, tmp_path):
    code, out, err = command("import", table(), "--out", "imported")
    assert (code, out) == (0, "")
    assert "20 rows of table.tsv" in err
    assert "11  sibling (symmetric)" in err
    assert "1 mended: a record broken over lines (line 2)" in err
    facts = read_facts(tmp_path / "imported")
    assert f"{len(facts.pairs)} pairs in imported" in err
    assert {pair.premise for pair in facts.pairs} >= {"x1 is part of y1", "x2 is a sibling of y2"}
    code, _, err = command("validate", "table.tsv")
    assert code == 0
    assert f"{len(facts.pairs)} pairs" in err


def test_faulty_rows_are_refused_unless_they_are_to_be_skipped(command, table, tmp_path):
    path = table("77\tq is part of\n")
    code, _, err = command("import", path, "--out", "imported")
    assert code == 1
    assert "table.tsv:24: has 2 columns" in err
    assert not (tmp_path / "imported").exists()
    code, _, err = command("import", path, "--out", "imported", "--skip-faults")
    assert code == 0
    assert "1 faulty: has 2 columns" in err


def test_pairs_are_shown_and_a_fault_is_named(command, tmp_path):
    facts = symmetry(0, train=6, test=3)
    write_facts(facts, tmp_path / "facts")
    code, out, _ = command("show", "facts", "--examples", 1)
    assert code == 0
    assert facts.pairs[0].premise in out
    assert "wrong_entity" in out
    lines = (tmp_path / "facts" / "pairs.jsonl").read_text().splitlines()
    lines[4] = lines[4].replace('"relation": "', '"relation": "un')
    (tmp_path / "facts" / "pairs.jsonl").write_text("\n".join(lines))
    code, _, err = command("validate", "facts")
    assert code == 1
    assert "pairs.jsonl:5: relation 'un" in err
