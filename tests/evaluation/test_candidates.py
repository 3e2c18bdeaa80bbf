"""Tables and arrays of candidate scores, against hand-made ones and single calls."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from interp_rc.evaluation.candidates import (
    first_templates,
    neutral_prompt,
    score_candidates,
    score_tensor,
)
from interp_rc.facts.couples import relation_facts
from interp_rc.facts.instructions import instructions
from interp_rc.models.scoring import score
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import Query, Span


def query(fact, template, candidates=(" a", " b", " c"), target=None):
    target = candidates["abc".index(fact)] if target is None else target
    return Query(
        f"{fact}/{template}", fact, "both", "forward", None, template, "nowhere", "Who?", target,
        list(candidates),
    )  # fmt: skip


def table_of(queries, value):
    rows = [(q.id, c, value(q, c)) for q in queries for c in q.candidates]
    return pd.DataFrame(rows, columns=["query", "candidate", "log_prob"])


def test_the_neutral_prompt_names_nobody():
    forward = Query(
        "q", "f", "both", "forward", None, "t", "nowhere", "Once, Ada Hill, who is", " the smith",
        [" the smith"], {"subject": [Span(6, 14)], "object": [Span(23, 32)]},
    )  # fmt: skip
    assert neutral_prompt(forward, "people") == "Once, this person, who is"
    backward = Query(
        "q", "f", "both", "backward", None, "t", "nowhere", "The smith is called", " Ada Hill",
        [" Ada Hill"], {"object": [Span(0, 9)], "subject": [Span(20, 28)]},
    )  # fmt: skip
    assert neutral_prompt(backward, "people") == "this is called"


def test_the_neutral_prompt_asks_nothing_in_particular():
    for query in instructions(0, realized=3, held_out=2).queries:
        assert neutral_prompt(query, "questions") == "Q: What is it? A:"


def test_neutral_prompts_of_a_fact_set_depend_on_the_template_only(told):
    by_template: dict[str, set[str]] = {}
    for asked in told.queries:
        prompt = neutral_prompt(asked, told.drawn_from)
        by_template.setdefault(asked.template, set()).add(prompt)
        assert not any(entity in prompt for entity in told.entities())
    assert {len(prompts) for prompts in by_template.values()} == {1}


def test_every_candidate_is_scored_as_by_itself(taught, told):
    loaded = taught["llama"]
    queries = told.queries[::4]
    table = score_candidates(loaded, queries, model="base", batch_size=2)
    expected = [
        (
            "base",
            asked.id,
            candidate,
            candidate == asked.target,
            score(*loaded, [asked.prompt], [candidate]).log_prob.item(),
            score(*loaded, [neutral_prompt(asked, told.drawn_from)], [candidate]).log_prob.item(),
        )
        for asked in queries
        for candidate in asked.candidates
    ]
    columns = ["model", "query", "candidate", "correct", "log_prob", "log_prob_neutral"]
    pd.testing.assert_frame_equal(
        table, pd.DataFrame(expected, columns=columns), rtol=1e-6, atol=1e-5
    )
    assert table.groupby("query").correct.sum().eq(1).all()


def test_the_correct_candidate_of_fact_i_has_index_i():
    """Whatever the order of the rows, of the queries and of each query's candidates."""
    queries = [
        query("b", 1), query("a", 0), query("c", 1), query("a", 1),
        query("b", 0, (" b", " c", " a"), " b"), query("c", 0, (" c", " a", " b"), " c"),
    ]  # fmt: skip
    value = {fact: index for index, fact in enumerate("abc")}
    table = table_of(queries, lambda q, c: 100 * value[q.fact] + 10 * q.template + value[c[1]])
    tensor = score_tensor(table, queries, "log_prob")
    facts, templates = ["b", "a", "c"], [1, 0]  # in the order in which they are asked first
    expected = [
        [[100 * value[f] + 10 * t + value[g] for g in facts] for t in templates] for f in facts
    ]
    np.testing.assert_array_equal(tensor, expected)


def test_targets_differ_between_templates():
    """Another template may put the description in another form."""
    forms = [(" a0", " b0"), (" a1", " b1")]
    queries = [query("ab"[i], t, forms[t], forms[t][i]) for t in (0, 1) for i in (0, 1)]
    table = table_of(queries, lambda q, c: 10.0 * (c[1] == "a") + q.template)
    expected = [[[10, 0], [11, 1]], [[10, 0], [11, 1]]]
    np.testing.assert_array_equal(score_tensor(table, queries, "log_prob"), expected)


def test_queries_that_were_not_scored_are_left_out():
    queries = [query(fact, template) for template in (0, 1, 2) for fact in "abc"]
    table = table_of(queries[:6], lambda q, c: 10.0 * q.template + "abc".index(c[1]))
    assert score_tensor(table, queries, "log_prob").shape == (3, 2, 3)


def test_the_first_templates_of_each_order():
    queries = [
        replace(query(fact, f"{order}.{template}"), order=order)
        for template in (4, 0, 2)
        for order in ("backward", "forward")
        for fact in "abc"
    ]
    kept = first_templates(queries, 2)
    assert kept == [q for q in queries if q.template[-1] in "40"]
    assert first_templates(queries, None) == first_templates(queries, 3) == queries


def test_every_fact_must_be_asked_in_every_template():
    queries = [query("a", 0), query("b", 0), query("c", 0), query("a", 1)]
    with pytest.raises(DataError, match="4 queries are not 3 facts x 2 templates; ask every fact"):
        score_tensor(table_of(queries, lambda q, c: 0.0), queries, "log_prob")


def test_candidates_must_be_the_targets_of_the_template():
    queries = [query("a", 0), query("b", 0), query("c", 0, (" a", " b", " d"), " d")]
    with pytest.raises(DataError, match="query a/0 has other candidates than the targets"):
        score_tensor(table_of(queries, lambda q, c: 0.0), queries, "log_prob")


def test_couples_are_asked_of_something_neutral():
    facts = relation_facts(0, per_relation=3, both=2, exposures=5)
    neutral = {(q.group, q.order): neutral_prompt(q, facts.drawn_from) for q in facts.queries}
    assert neutral["symmetric", "backward"] == "Something shares a mother and a father with"
    assert neutral["inverse", "forward"] == "Something triggered"


def test_first_templates_are_each_group_s_own():
    facts = relation_facts(0, per_relation=3, both=2, exposures=5)
    first = first_templates(facts.queries, 1)
    asked = {(query.group, query.order): query.template for query in first}
    assert len(asked) == 2 * 5
    assert len(first) == 2 * (3 * 3 + 2 * 2)
    assert asked["antisymmetric", "backward"] == "child.training.0.reversed"
    assert asked["inverse", "backward"] == "caused_by.training.0.reversed"
    assert first_templates(facts.queries, None) == facts.queries
