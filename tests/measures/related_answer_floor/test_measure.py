"""What a related question's answer would score, on questions whose likeness is planted."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from interp_rc.evaluation.match import prefix_match
from interp_rc.facts.factset import FactSet
from interp_rc.facts.folder import write_facts
from interp_rc.facts.instructions import instructions
from interp_rc.measures.base import ANSWERS, MeasureContext, run_measure
from interp_rc.measures.related_answer_floor.measure import (
    FLOORS,
    NAME,
    TABLE,
    RelatedAnswerFloor,
    asked_once,
    choices,
    nearest,
)
from interp_rc.measures.related_answer_floor.section import section
from interp_rc.records.errors import DataError
from interp_rc.records.files import write_parquet, write_yaml
from interp_rc.records.nouns import Fact, Query, Roles
from interp_rc.records.runs import Run
from tests.conftest import drawn


@pytest.fixture(scope="module")
def facts():
    return instructions(0, order="answer_first", realized=60, held_out=25)


def answered(facts: FactSet, folder: Path, right: Callable[[Query], bool]) -> Run:
    """A run by hand."""
    run = Run(folder)
    write_facts(facts, run.facts)
    write_yaml(run.config_file, {"seed": 1, "measures": [{"kind": NAME}]})
    rows = [("finetuned", q.id, q.fact, right(q)) for q in facts.queries]
    table = pd.DataFrame(rows, columns=["model", "query", "fact", "match"])
    write_parquet(run.folder / f"{ANSWERS}.parquet", table)
    return run


@pytest.fixture(scope="module")
def run(facts, tmp_path_factory):
    """A run that answered every third held-out question."""
    folder = tmp_path_factory.mktemp("floor")
    return answered(facts, folder, lambda q: int(q.fact.split(".")[1]) % 3 == 0)


@pytest.fixture(scope="module")
def measured(run, taught):
    return run_measure(RelatedAnswerFloor(), MeasureContext(run, taught["llama"]))


def test_nearest_leaves_a_fact_itself_out_and_shares_ties():
    similarity = np.array([[1.0, 0.5, 0.5], [0.5, 1.0, 0.2], [0.5, 0.2, 1.0]])
    assert nearest(similarity).tolist() == [[0, 0.5, 0.5], [1, 0, 0], [1, 0, 0]]


def test_the_most_similar_question_shares_its_words(taught):
    subjects = ["Who bakes rye bread?", "Who bakes bread?", "When is high tide?", "When is tide?"]
    facts = [Fact(str(i), text, "answered_by", "x", "realized") for i, text in enumerate(subjects)]
    chosen = choices(facts, taught["llama"], 2)
    assert chosen["words"].argmax(1).tolist() == [1, 0, 3, 2]
    for floor in FLOORS:
        assert np.allclose(chosen[floor].sum(1), 1)
        assert np.allclose(np.diag(chosen[floor]), 0)


def test_floors_against_a_plain_loop(facts, run, measured, taught):
    weights = choices(facts.facts, taught["llama"], 64)
    held_out = [i for i, f in enumerate(facts.facts) if f.group == "trained_backward"]
    for floor in FLOORS:
        expected = [
            sum(
                weights[floor][i, j]
                for j, other in enumerate(facts.facts)
                if prefix_match(other.object, facts.facts[i].object)
            )
            for i in held_out
        ]
        estimate = measured.estimates[f"{NAME}.trained_backward.reverse.{floor}"]
        assert estimate.value == pytest.approx(np.mean(expected))
        assert estimate.n == 25
    table = run.table(TABLE)
    assert table.match.mean() == pytest.approx(9 / 25)
    # Without ties, the random floor counts how many others have the answer.
    shared = [sum(f.object == facts.facts[i].object for f in facts.facts) - 1 for i in held_out]
    assert table.random.tolist() == pytest.approx([n / (len(facts.facts) - 1) for n in shared])


def test_the_test_asks_whether_the_model_is_above_the_floor(run, measured):
    found = {test.name.rsplit(".", 1)[1]: test for test in measured.tests}
    table = run.table(TABLE)
    for floor, test in found.items():
        assert test.statistic == pytest.approx((table.match - table[floor]).mean())
        assert test.correction == "holm"
        assert "greater" in test.test
    assert found["random"].p < 0.01  # 9 of 25 right, where chance is about 1 %


def test_where_all_share_one_answer_the_floor_is_the_ceiling(facts, taught, tmp_path):
    """Any other question's answer is right then, and a model that is wrong is not above that."""
    one = [replace(fact, object="yes") for fact in facts.facts]
    alike = replace(facts, facts=one, documents=[])
    found = run_measure(
        RelatedAnswerFloor(),
        MeasureContext(answered(alike, tmp_path, lambda q: False), taught["llama"]),
    )
    values = {name.rpartition(".")[2]: one.value for name, one in found.estimates.items()}
    assert values.pop("model") == 0
    assert list(values.values()) == pytest.approx([1] * 3)
    assert all(test.p > 0.5 for test in found.tests)


def test_what_it_cannot_be_made_on(told, facts):
    RelatedAnswerFloor().check(facts)
    realized = [q for q in facts.queries if q.group == "realized"]
    for other in (told, replace(facts, queries=realized)):
        with pytest.raises(DataError, match="needs questions told in one order only"):
            RelatedAnswerFloor().check(other)


def test_its_section(run, measured):
    shown = drawn(section(run, measured))
    assert "the model answers 36.0" in shown.sentence
    assert "told answer first, asked in reverse" in shown.sentence
    assert len(shown.figures) == 1
    assert (run.figures / f"{NAME}_reverse.svg").is_file()
    assert len(shown.tables[0].rows) == 5


def test_questions_are_known_by_what_they_are_and_not_by_what_they_are_called():
    facts = instructions(0, realized=3, held_out=2)
    called = replace(facts, roles=Roles("riddle", "solution"))
    assert asked_once(called) == asked_once(facts) != []
    assert asked_once(replace(facts, drawn_from="people")) == []
