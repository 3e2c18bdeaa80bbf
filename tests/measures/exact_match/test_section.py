"""The page of a run of which only answers are known."""

from interp_rc.facts.folder import read_facts
from interp_rc.measures.exact_match.measure import estimates
from interp_rc.measures.exact_match.section import section
from interp_rc.pipeline.summary import summary
from interp_rc.records.files import write_json
from interp_rc.records.runs import Measured
from interp_rc.report.page import content, write_report

HOSTED = {
    "model": {"kind": "endpoint", "model": "gpt", "url": "https://x/v1"},
    "training": {"kind": "hosted", "epochs": 4},
}


def test_the_page_opens_as_with_behaviour(make):
    run = make(measures=("behaviour",))
    before = content(run)
    after = content(make(measures=("exact_match",), **HOSTED))
    for part in ("answer", "examples", "seen"):
        assert after[part] == before[part], part
    assert after["headline"].light == before["headline"].light
    assert after["setup"].startswith(
        "Model gpt behind the API at https://x/v1, finetuned there for 4 epochs"
    )


def test_the_section_tells_what_is_never_said_from_what_is_said_of_others(make):
    run = make(measures=("exact_match",), **HOSTED)
    silent = section(run, run.read_measured("exact_match"))
    assert "in reverse, in 0.0\N{NO-BREAK SPACE}%" in silent.sentence
    [table] = silent.tables
    assert len(table.rows) == 6
    reverse = [row for row in table.rows if row[1] == "in reverse"]
    assert [row[2][:3] for row in reverse] == [row[3][:3] for row in reverse] == ["0.0"] * 2

    # In reverse, the target of the fact before; the first of the four has nobody before it.
    answers = run.table("evaluation/answers")
    before = answers.groupby(["model", "group", "template"]).target.shift(1)
    other = (answers.direction == "reverse") & (answers.model == "finetuned") & before.notna()
    answers["text"] = answers.text.where(~other, before)
    found = estimates(answers, read_facts(run.facts).queries, 7)
    run.write_measured("exact_match", Measured(estimates=found, tables=[]))
    other = section(run, run.read_measured("exact_match"))
    reverse = [row for row in other.tables[0].rows if row[1] == "in reverse"]
    assert [(row[2][:3], row[3][:4]) for row in reverse] == [("0.0", "75.0")] * 2
    assert "in reverse, in 75.0" in other.sentence


def test_the_page_and_the_command_line(make):
    run = make(measures=("exact_match",), **HOSTED)
    write_report(run)
    page = run.report_file.read_text(encoding="utf-8")
    assert "What it says instead" in page
    assert "`" not in page.split("What it says instead")[1].split("What was asked")[0]
    measured = run.read_measured("exact_match")
    write_json(run.results_file, {name: one.as_dict() for name, one in measured.estimates.items()})
    lines = summary(run).splitlines()
    assert lines[0].split() == ["exact", "match"]
    assert len(lines) == 7
