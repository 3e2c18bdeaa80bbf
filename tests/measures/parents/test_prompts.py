"""The same examples in both directions, and none of their people among those asked about."""

from dataclasses import replace

import pytest
import yaml

from interp_rc.evaluation.parents.prompts import (
    WORDINGS,
    people_of_examples,
    questions,
    without_examples,
)
from interp_rc.facts.parents import parents
from interp_rc.records.packaged import packaged


@pytest.fixture(scope="module")
def facts():
    return parents().facts


def test_every_fact_in_both_orders_and_every_wording(facts):
    asked = questions(facts[:4], WORDINGS)
    assert len(asked) == 4 * 2 * len(WORDINGS)
    assert len(WORDINGS) >= 3
    told = yaml.safe_load((packaged("data") / "parents/wordings.yaml").read_text("utf-8"))
    assert list(told["wordings"]) == list(WORDINGS)
    ada = [one for one in asked if one.fact == facts[0]]
    for one in ada:
        up = one.order == "forward"
        assert ("Ada Lovelace" in one.asked) == up
        assert (facts[0].object in one.asked) != up
        assert ("mother" in one.asked) == up
        assert one.name == (facts[0].object if up else "Ada Lovelace")
    assert ada[0].asked == "Who is the mother of Ada Lovelace?"
    assert ada[1].asked == f"Who is a child of {facts[0].object}?"


def test_the_prompt_before_the_question_is_the_same_in_both_directions(facts):
    for wording in WORDINGS:
        asked = questions(facts, [wording])
        before = {
            (tuple(one.messages[:-1]), one.text.removesuffix(f"Q: {one.asked}\nA:"))
            for one in asked
        }
        assert len(before) == 1
        [(messages, text)] = before
        assert [role for role, _ in messages] == ["system", *["user", "assistant"] * 6]
        assert all(said in text for _, said in messages)
        assert text.endswith("\n\n")
        answers = [said for role, said in messages if role == "assistant"]
        assert answers.count("I don't know.") == 2
        assert all(one.target == f" {one.name}" for one in asked)


def test_people_of_the_examples_are_left_out(facts):
    shown = people_of_examples()
    assert {"winston churchill", "jennie jerome", "etienne pascal", "leopold mozart"} < shown
    assert without_examples(facts) == facts  # our own list and our own examples do not meet
    child = replace(facts[0], subject="Winston CHURCHILL")
    parent = replace(facts[1], object="Leopold Mozart")
    as_child = replace(facts[2], subject="Hannah Ayscough")
    plain = replace(facts[4], object="Etienne  Pascal")
    assert without_examples([child, parent, as_child, plain, facts[3]]) == [facts[3]]


def test_examples_ask_as_often_one_way_as_the_other():
    told = yaml.safe_load((packaged("data") / "parents/wordings.yaml").read_text("utf-8"))
    ways = [(row["asked_for"], row[row["asked_for"]] is None) for row in told["examples"]]
    for known in (True, False):
        assert ways.count(("parent", known)) == ways.count(("child", known)) > 0
