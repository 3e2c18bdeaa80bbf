"""The page's section on facts stated in the prompt, from numbers made by hand."""

import pandas as pd
import pytest

from interp_rc.display.figures.save import Draw
from interp_rc.measures.in_context.measure import ANSWERS, CANDIDATES
from interp_rc.measures.in_context.section import cells, section
from interp_rc.records.estimates import Estimates
from interp_rc.records.files import write_parquet
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured, Run
from tests.conftest import drawn


@pytest.fixture
def run(tmp_path):
    (tmp_path / "evaluation").mkdir()
    stated = pd.DataFrame(
        {"model": "base", "query": query, "stated": [True] * 4 + [False]} for query in "ab"
    ).explode("stated")
    write_parquet(tmp_path / f"{CANDIDATES}.parquet", stated.astype({"stated": bool}))
    return Run(tmp_path)


def measured(*models, thinking=False):
    found = Estimates("in_context")
    for model in models:
        for cell in cells():
            value = 0.0 if cell.context == "other" else 0.9 if model == "base" else 0.3
            value -= 0.05 * (cell.order == "forward") * (value > 0)
            rate = Estimate(value, max(0.0, value - 0.1), value + 0.05, 30, "fraction")
            of = {"model": model, **cell._asdict()}
            for rule in ("prefix", "letters"):
                found.add(rate, **of, quantity="exact_match", rule=rule)
                if cell.context != "shots":
                    found.add(rate, **of, quantity="says_last", rule=rule)
            if cell.context != "other" and not thinking:
                for among in ("all", "stated"):
                    found.add(rate, **of, quantity="candidate_accuracy", set=among)
    return Measured(estimates=found, tables=[ANSWERS] if thinking else [ANSWERS, CANDIDATES])


def test_both_models_and_the_control_in_one_sentence(run):
    page = section(run, measured("base", "finetuned"))
    assert page.sentence.replace("\N{NO-BREAK SPACE}", " ") == (
        "Asked in reverse about a fact that its prompt states, the finetuned model is right in "
        "25.0 % [15.0, 30.0] (description) and 30.0 % [20.0, 35.0] (name) of cases; with another "
        "fact in its place, in 0.0 % [0.0, 5.0] (description) and 0.0 % [0.0, 5.0] (name). Asked "
        "in reverse about a fact that its prompt states, the base model is right in "
        "85.0 % [75.0, 90.0] (description) and 90.0 % [80.0, 95.0] (name) of cases; with another "
        "fact in its place, in 0.0 % [0.0, 5.0] (description) and 0.0 % [0.0, 5.0] (name)."
    )
    assert [one.title for one in page.figures] == [
        "Exact match with the fact in the prompt",
        "Choice among the entities of the prompt (finetuned model)",
    ]
    (table,) = page.tables
    assert len(table.rows) == 2 * 10
    assert all(len(row) == len(table.columns) == 8 for row in table.rows)
    assert table.rows[0][5] == ""  # after shots, the one stated last is the target itself
    assert table.rows[-1][6:] == ["", ""]  # the target is none of those stated


def test_a_run_without_training_shows_the_base_model_alone(run):
    page = drawn(section(run, measured("base")))
    assert page.sentence.count("the base model is right") == 1
    assert "finetuned model" not in page.sentence + page.figures[0].caption
    assert (run.figures / "in_context.svg").is_file()


def test_with_a_chain_of_thought_there_are_no_candidates(run):
    page = section(run, measured("base", thinking=True))
    assert len(page.figures) == 1
    assert [c for c in page.tables[0].columns if "best" in c] == []


def test_chance_is_one_over_the_facts_of_a_prompt(run, monkeypatch):
    drawn = {}

    def rates_figure(rates, theme, *, quantity):
        drawn[quantity] = {rate.chance for rate in rates}
        return "a figure"

    def picture(run, name, draw: Draw, **words):
        draw(None)
        return name

    monkeypatch.setattr("interp_rc.measures.in_context.section.rates_figure", rates_figure)
    monkeypatch.setattr("interp_rc.measures.in_context.section.picture", picture)
    section(run, measured("base"))
    assert drawn["right one of those stated"] == {1 / 4}
