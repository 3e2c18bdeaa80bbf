"""Entailment sets of others: what is read, what has no label, and planted faults."""

import json
import re

import pytest

from interp_rc.facts.entailment_pairs import EntailmentPair
from interp_rc.facts.entailment_tables import read_entailment
from interp_rc.records.errors import DataError

ROW = {"sentence1": "A cat sat.", "sentence2": "An animal sat.", "gold_label": "entailment"}
HEAD = "index\tgenre\tsentence1\tsentence2\tlabel1\tgold_label\n"
GOOD = '0\tfiction\tHe said "yes.\tHe spoke.\tneutral\tentailment\n'


@pytest.fixture
def write(tmp_path):
    def put(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return put


def test_json_lines(write):
    rows = [
        ROW | {"genre": "travel", "annotator_labels": ["entailment"]},
        ROW | {"gold_label": "-"},
        ROW | {"gold_label": "contradiction"},
    ]
    path = write("mnli.jsonl", "\n\n".join(json.dumps(row) for row in rows))
    found = read_entailment(path)
    assert found.pairs == (
        EntailmentPair("A cat sat.", "An animal sat.", "entailment", "travel"),
        EntailmentPair("A cat sat.", "An animal sat.", "contradiction", "mnli"),
    )
    assert (found.labelled, found.unlabelled) == (2, 1)


def test_tables_with_tabs_where_quotes_mean_nothing(write):
    """A byte-order mark, Windows' line ends and an odd quote, as the public files have them."""
    text = HEAD + GOOD + "1\tfiction\tA b.\tC d.\t-\t-\n" + "2\tx\tE f.\tG h.\tneutral\tneutral\n"
    found = read_entailment(write("dev.tsv", text.replace("\n", "\r\n").encode("utf-8-sig")))
    assert [pair.premise for pair in found.pairs] == ['He said "yes.', "E f."]
    assert [pair.label for pair in found.pairs] == ["entailment", "neutral"]
    assert (found.labelled, found.unlabelled) == (2, 1)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", json.dumps(ROW) + "\n{broken\n", "a.jsonl:2: not JSON"),
        ("a.jsonl", "[1]\n", "a.jsonl:1: found a list"),
        ("a.jsonl", json.dumps(ROW | {"sentence2": " "}), "a.jsonl:1: sentence2 is ' '"),
        ("a.jsonl", json.dumps(ROW | {"sentence1": 3}), "a.jsonl:1: sentence1 is 3"),
        ("a.jsonl", json.dumps(ROW) + '\n{"sentence1": "A"}', "a.jsonl:2: sentence2 is None"),
        ("a.jsonl", json.dumps(ROW | {"gold_label": "maybe"}), "a.jsonl:1: gold_label is 'maybe'"),
        ("a.jsonl", json.dumps(ROW | {"gold_label": "-"}), "a.jsonl: holds no labelled pair (1"),
        ("a.jsonl", "", "a.jsonl: holds no labelled pair"),
        ("a.tsv", "sentence1\tsentence2\nA\tB\n", "a.tsv:1: has no column 'gold_label'"),
        ("a.tsv", HEAD + GOOD + "1\tfiction\tA\n", "a.tsv:3: 3 cells under 6 columns"),
        ("a.tsv", HEAD + GOOD.replace("He spoke.", ""), "a.tsv:2: sentence2 is ''"),
        ("a.tsv", (HEAD + GOOD).encode() + b"\xff\n", "a.tsv:3: byte 0xff is not UTF-8"),
        ("a.csv", HEAD, "a.csv: must end in .jsonl"),
    ],
)
def test_faults_name_file_and_line(write, name, content, message):
    with pytest.raises(DataError, match=re.escape(message)):
        read_entailment(write(name, content))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.tsv: file not found; check the path"):
        read_entailment(tmp_path / "none.tsv")


def test_some_are_drawn_evenly_and_in_the_files_order(write):
    rows = [ROW | {"sentence1": f"{number:03d}"} for number in range(200)]
    path = write("many.jsonl", "\n".join(map(json.dumps, rows)))
    draws = [read_entailment(path, at_most=50, seed=seed) for seed in range(20)]
    for found in draws:
        numbers = [int(pair.premise) for pair in found.pairs]
        assert len(set(numbers)) == 50
        assert numbers == sorted(numbers)
        assert found.labelled == 200
    late = sum(int(pair.premise) >= 100 for found in draws for pair in found.pairs)
    assert 420 < late < 580  # 500 expected, with a deviation of 16 at most
    assert read_entailment(path, at_most=50, seed=3).pairs == draws[3].pairs
    assert draws[3].pairs != draws[4].pairs
    assert len(read_entailment(path, at_most=500).pairs) == 200
