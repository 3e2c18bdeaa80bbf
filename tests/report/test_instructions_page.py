"""The page of a run on instructions speaks of questions, and of the direction that was asked."""

import pytest

from interp_rc.facts.instructions import instructions
from interp_rc.measures.base import MeasureContext, run_measure
from interp_rc.measures.related_answer_floor.measure import RelatedAnswerFloor
from interp_rc.pipeline.summary import summary
from interp_rc.records.files import write_json
from interp_rc.report.page import content, write_report


@pytest.fixture
def run(make, taught):
    """Told answer first: all shown questions are right, and one held-out one."""
    facts = instructions(0, order="answer_first", realized=8, held_out=6)
    run = make(
        lambda query: query.group == "realized" or query.fact == "held_out.2",
        about=facts,
        measures=["behaviour", "related_answer_floor"],
    )
    floor = run_measure(RelatedAnswerFloor(), MeasureContext(run, taught["llama"]))
    run.write_measured("related_answer_floor", floor)
    return run


def test_the_headline_names_the_direction_and_the_control(run):
    sentence = content(run)["answer"].sentence.replace("\N{NO-BREAK SPACE}", " ")
    assert "Asked in reverse, the model is right in 16.7 %" in sentence
    assert "the other direction was not asked" in sentence
    assert "shown with their answers are right in 100.0 %" in sentence


def test_the_page_is_written_and_says_nothing_of_names(run):
    write_report(run)
    page = run.report_file.read_text(encoding="utf-8")
    assert "Told answer first" in page
    assert "question first" in page
    assert "More than the answer of a related question?" in page
    for words in ("name first", "description first", "told name"):
        assert words not in page


def test_the_summary_has_a_line_for_each_group(run):
    estimates = {
        name: one.as_dict()
        for part in run.all_measured().values()
        for name, one in part.estimates.items()
    }
    write_json(run.results_file, estimates)
    lines = summary(run).splitlines()
    assert [line.split("  ")[0] for line in lines[1:]] == [
        "answer to question, reverse",
        "questions shown as examples",
    ]
