"""Malformed inputs end in a refusal of ours, and never in a traceback or without an end."""

import json
from random import Random

import pytest

from tests.fuzz import outcome as outcomes
from tests.fuzz.inputs import KINDS, Input, Workshop, malformed
from tests.fuzz.outcome import fuzz, outcome, told


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 17])
def test_no_input_ends_in_a_traceback_or_not_at_all(tmp_path, monkeypatch, seed):
    monkeypatch.setenv("OPENAI_API_KEY", "no-key")
    tally = fuzz(seed, 150, tmp_path)
    assert tally.faults == [], told(tally)
    assert sum(tally.ended.values()) == 150
    assert tally.ended["refused"] > 75
    assert len(tally.kinds) > len(KINDS) - 3


def test_what_the_generator_starts_from_is_read(tmp_path):
    workshop = Workshop.made(tmp_path)
    for made in (
        ["facts", "validate", str(tmp_path / "facts")],
        ["facts", "validate", str(tmp_path / "published")],
        ["parents", "score", str(tmp_path / "parents.csv")],
        ["patch", "--model", str(tmp_path / "model"), "--pairs", str(tmp_path / "pairs.jsonl"),
         "--site", "mlp_out.0@source.last", "--out", str(tmp_path / "out.parquet")],
        ["trace", "--model", str(tmp_path / "model"), "--pairs", str(tmp_path / "tracings.jsonl"),
         "--site", "mlp_out.0@A.last", "--draws", "2", "--out", str(tmp_path / "traced.parquet")],
    ):  # fmt: skip
        assert outcome(Input("", made)) == ("done", None)
    drawn = [
        malformed(workshop, folder, Random(5))
        for folder in (tmp_path / "one", tmp_path / "two")
        if folder.mkdir() is None
    ]
    one, two = (json.dumps(made.arguments) for made in drawn)
    assert one == two.replace(str(tmp_path / "two"), str(tmp_path / "one"))


def test_faults_are_told_from_refusals(monkeypatch):
    def fails() -> None:
        raise KeyError("x")

    def never_ends() -> None:
        while True:
            pass

    monkeypatch.setattr(outcomes, "SECONDS", 1)
    assert outcome(Input("", [], fails))[0] == "traceback"
    assert outcome(Input("", [], never_ends))[0] == "hang"
    assert outcome(Input("", ["report", "/nowhere"])) == ("refused", None)
    assert outcome(Input("", ["report"])) == ("usage", None)
