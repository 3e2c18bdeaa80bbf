"""The section on parents and children: its words come from the replies, and nothing is trusted."""

import re

import pytest

from interp_rc.evaluation.parents.asking import Reply
from interp_rc.evaluation.parents.prompts import questions
from interp_rc.facts.folder import write_facts
from interp_rc.facts.parents import parents
from interp_rc.measures.parents import estimates as numbers
from interp_rc.measures.parents.measure import REPLIES
from interp_rc.measures.parents.section import meaning, section
from interp_rc.measures.parents.tables import reply_table
from interp_rc.pipeline.summary import summary
from interp_rc.records.estimates import Estimates
from interp_rc.records.files import write_json, write_parquet, write_yaml
from interp_rc.records.numbers import Estimate
from interp_rc.records.reading import read_text
from interp_rc.records.runs import Measured, Run
from interp_rc.report.headline import answer
from interp_rc.report.page import write_report
from tests.conftest import drawn

ENDPOINT = {"kind": "endpoint", "model": "gpt-x", "url": "https://api.example.com/v1"}


@pytest.fixture
def made(tmp_path):
    """A run whose model says what `says(question, sample)` gives."""

    def build(says, removed=0):
        run = Run(tmp_path / "a run")
        facts = parents()
        write_facts(facts, run.facts)
        config = {
            "name": "by-hand", "seed": 1, "facts": {"kind": "parents"}, "model": ENDPOINT,
            "training": None, "measures": [{"kind": "parents"}],
        }  # fmt: skip
        write_yaml(run.config_file, config)
        write_json(run.environment_file, {"interp_rc": "0"})
        asked = questions(facts.facts[:60], ["who", "name"])
        replies = [Reply(q, n, says(q, n)) for q in asked for n in (None, 0, 1)]
        table = reply_table(replies, facts.facts, lambda q: q.text, model="base", seed=1)
        write_parquet(run.folder / f"{REPLIES}.parquet", table)
        measured = Measured(
            numbers.estimates(table, None, removed, 1), numbers.tests(table, 1), [], [REPLIES]
        )
        run.write_measured("parents", measured)
        write_json(run.results_file, {n: e.as_dict() for n, e in measured.estimates.items()})
        return run, measured

    return build


def half(question, sample):
    """Every parent, in one of two samples of the first wording; hardly a child."""
    if question.order == "forward":
        return question.name if sample != 1 or question.wording == "name" else "I don't know."
    if question.fact.subject == "Ada Lovelace":
        return question.name
    return "<script>alert('x')</script>" if sample is None else "I don't know."


def test_the_page_says_it_in_its_first_sentence(made):
    run, measured = made(half, removed=3)
    write_report(run)
    page = read_text(run.report_file)
    said = answer(run, {"parents": measured}, [section(run, measured)])
    plain = said.sentence.replace("\N{NO-BREAK SPACE}", " ")
    assert "Asked about the child, the model names the parent in 75.0 %" in plain
    assert "it names the child in 3.3 %" in plain
    assert "a difference of 71.7 percentage points" in plain
    assert said.sentence in page
    assert said.meaning.startswith("Of the same pairs, it says more in the order of child to")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert "intervals over children of this one model" in page
    assert "one value per child" in page
    assert (
        "Model gpt-x behind the API at https://api.example.com/v1, not trained in this run" in page
    )
    assert "60 pairs of 30 children" in page
    assert "3 more were left out" in page
    assert "Children of one parent count as independent" in page
    assert "without asking how often" not in page


def test_tables_and_figure(made):
    run, measured = made(half)
    found = drawn(section(run, measured))
    assert "does not know the parent in" in found.sentence
    assert (run.figures / "parents.svg").is_file()
    rules, others, types, added, replies = found.tables
    assert len(rules.rows) == 3 * 3  # all wordings, who, name
    row = dict(zip(rules.columns, rules.rows[0], strict=True))
    assert (row["wording"], row["rule"]) == ("all wordings", "GPT-4’s")
    assert row["parent"].startswith("75.0")
    assert row["greedy parent"].startswith("100.0")
    assert row["any parent"].startswith("100.0")
    assert others.rows[0][2].startswith("96.7")
    assert [row[0] for row in types.rows] == ["mothers", "fathers"]
    assert len(added.rows) == 2
    assert replies.rows[1] == [
        "a child of Annabella Milbanke",
        "Ada Lovelace",
        "Ada Lovelace",
        "all",
    ]
    assert replies.rows[-1][1:] == ["<script>alert('x')</script>", "Mary Shelley", "none"]
    assert all(len(row) == len(t.columns) for t in found.tables for row in t.rows)
    words = re.search(r"All wordings: parent (\S+)", found.figures[0].alt)
    assert words[1].startswith("75.0")


def test_the_command_line_says_it_too(made):
    run, _ = made(half)
    assert "names the parent in 75.0" in summary(run)
    assert "exact match" not in summary(run)


def test_another_child_is_said_to_be_one(made):
    def sister(question, sample):
        brother = question.fact.object == "Rose Kennedy" and question.order == "backward"
        return "John F. Kennedy" if brother else "I don't know."

    _, measured = made(sister)
    found = measured.estimates["parents.pooled.other_child.backward"]
    asked = {q.fact.id for q in questions(parents().facts[:60], ["who"]) if sister(q, 0)[0] == "J"}
    assert found.value == pytest.approx((len(asked) - 1) / 60)
    assert meaning(measured).startswith("It hardly knows the parents")


def apart(value, low, high, parent=0.8):
    found, of = Estimates("parents"), {"wording": numbers.POOLED, **numbers.SHARE}
    found.add(Estimate(parent, 0.7, 0.9, 9, "fraction"), **of, order="forward")
    found.add(Estimate(value, low, high, 9, "percentage points"), **of, order="difference")
    return Measured(found)


@pytest.mark.parametrize(
    ("measured", "begin"),
    [
        (apart(5, 1, 9), "Of the same pairs, it says more in the order of child to parent"),
        (apart(-5, -9, -1), "Of the same pairs, it says more in the order of parent to child"),
        (apart(5, -1, 9), "The interval of the difference includes zero"),
        (apart(5, None, None), "Too few children"),
        (apart(5, 1, 9, parent=0.05), "It hardly knows the parents"),
    ],
)
def test_what_follows_is_no_more_than_the_intervals_allow(measured, begin):
    assert meaning(measured).startswith(begin)
