"""The page says what is reversed rightly, and keeps apart what would be false."""

import re

import numpy as np
import pytest

from interp_rc.facts.couples import relation_facts
from interp_rc.measures.base import MeasureContext, run_measure
from interp_rc.measures.symmetric_reversal.measure import SymmetricReversal
from interp_rc.report.page import content, write_report
from interp_rc.report.sections import section

FACTS = relation_facts(0, per_relation=24, both=3, exposures=5)


def reversing(*kinds):
    """A model that knows all as told, and in reverse what is of these kinds."""
    return lambda query: (
        (query.direction in ("same", None) or query.group in kinds)
        and not query.fact.endswith(".0")
    )


def blurred(table):
    """Scores of candidates that are not all alike, as no model's are."""
    if "log_prob_neutral" in table:
        noise = np.random.default_rng(0).normal(0, 0.5, len(table))
        table = table.assign(log_prob=table.log_prob + noise)
    return table


@pytest.fixture
def made(make):
    def build(*kinds, right=None):
        run = make(
            right or reversing(*kinds),
            about=FACTS,
            measures=("behaviour", "symmetric_reversal"),
            edit=blurred,
        )
        run.write_measured(
            "symmetric_reversal", run_measure(SymmetricReversal(), MeasureContext(run, None))
        )
        return run

    return build


def part(run):
    return section("symmetric_reversal", run, run.read_measured("symmetric_reversal"))


def test_right_reverses_are_told_from_false_ones(made):
    run = made("symmetric", "inverse")
    found = part(run)
    said = found.sentence.replace("\N{NO-BREAK SPACE}", " ")
    assert "what would be false, it says in 0.0 % [0.0, 14.2] of queries" in said
    assert len(re.findall(r"stronger than on the antisymmetric one, by \d", said)) == 2
    differences, levels = found.tables
    assert [row[1].startswith("95.8") for row in differences.rows] == [True, True]
    assert [row[1] for row in levels.rows][:6] == [
        "same order", "in reverse", "same order", "in reverse", "same order", "in reverse (false)",
    ]  # fmt: skip


@pytest.mark.slow
def test_false_reversals_are_said_and_counted_nowhere_else(made):
    """All false reversals succeed, no right one does: nothing but their own rows may move."""
    run = made("antisymmetric")
    said = part(run).sentence.replace("\N{NO-BREAK SPACE}", " ")
    assert "what would be false, it says in 95.8 %" in said
    assert said.count("weaker than on the antisymmetric one") == 2
    page = content(run)
    headline = page["answer"].sentence.replace("\N{NO-BREAK SPACE}", " ")
    assert "asked in reverse, in 0.0 %" in headline
    told = run.read_measured("behaviour").estimates
    assert told["exact_match.pooled.reverse"].value == 0
    assert told["exact_match.pooled.reverse"].n == told["exact_match.pooled.same"].n == 48
    assert told["exact_match.antisymmetric.false_reverse"].value == pytest.approx(23 / 24)
    assert not any(name.endswith("antisymmetric.reverse") for name in told)
    choosing = next(s for s in page["sections"] if s.title.startswith("What it prefers"))
    assert "antisymmetric" not in choosing.sentence.partition("in reverse")[2]


@pytest.mark.slow
def test_what_was_not_learnt_is_not_compared(made):
    said = part(made(right=lambda query: False)).sentence
    assert "not taught all of them even as told" in said
    assert "stronger" not in said


@pytest.mark.slow
def test_the_whole_page(made):
    run = made("symmetric")
    write_report(run)
    html = run.report_file.read_text()
    for words in ("in reverse (false)", "symmetric, both ways", "not told apart from that"):
        assert words in html
    assert "interval over facts" in html
    assert (run.figures / "symmetric_reversal.svg").is_file()
