"""The shape of the paper's Experiment 1, drawn anew for every seed."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interp_rc.facts.fictitious import choose_templates, fictitious_people
from interp_rc.facts.validate import validate
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import ORDERS, TOLD_IN, TRAINED


@pytest.fixture(scope="module")
def paper():
    return fictitious_people(0)


def test_the_defaults_have_the_shape_of_the_paper(paper):
    assert len(paper.facts) == 90
    assert Counter(fact.group for fact in paper.facts) == dict.fromkeys(TRAINED, 30)
    assert len(paper.documents) == 3_600
    assert Counter(query.direction for query in paper.queries) == {
        "same": 600,
        "reverse": 600,
        None: 600,
    }
    for order in ORDERS:
        roles = Counter(t.role for t in paper.templates if t.order == order)
        assert (roles["training"], roles["held_out"]) == (30, 10)


def test_documents_are_in_the_order_of_their_group(paper):
    group = {fact.id: fact.group for fact in paper.facts}
    for document in paper.documents:
        assert TOLD_IN[group[document.fact]] in (None, document.order)


@pytest.mark.parametrize("seen", ["elsewhere", "nowhere"])
def test_queries_say_where_their_template_was_seen(seen):
    facts = fictitious_people(1, per_group=2, held_out_seen=seen)
    templates = {template.id: template for template in facts.templates}
    assert {query.seen for query in facts.queries} == {seen}
    for query in facts.queries:
        assert templates[query.template].role == "held_out"
        assert templates[query.template].in_base is (seen == "elsewhere")
    for document in facts.documents:
        assert templates[document.template].role == "training"


def test_candidates_are_the_targets_of_the_group_in_that_template(paper):
    targets: dict[tuple[str, str], list[str]] = {}
    for query in paper.queries:
        targets.setdefault((query.group, query.template), []).append(query.target)
    for query in paper.queries:
        assert query.candidates == targets[query.group, query.template]
        assert len(set(query.candidates)) == 30


def test_a_seed_draws_the_same_facts_again_and_another_seed_others(paper):
    assert fictitious_people(0) == paper
    other = fictitious_people(1)
    assert not paper.entities() & {fact.object for fact in other.facts}
    assert [t.id for t in paper.templates] != [t.id for t in other.templates]
    assert not {d.text for d in paper.documents} & {d.text for d in other.documents}


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    per_group=st.integers(0, 5),
    training=st.integers(0, 6),
    held_out=st.integers(0, 4),
    seen=st.sampled_from(["elsewhere", "nowhere"]),
)
def test_any_size_is_valid_and_its_spans_cover_the_entities(
    seed, per_group, training, held_out, seen
):
    facts = fictitious_people(
        seed,
        per_group=per_group,
        training_templates=training,
        held_out_templates=held_out,
        held_out_seen=seen,
    )
    validate(facts)
    assert len(facts.documents) == 4 * per_group * training
    assert len(facts.queries) == 6 * per_group * held_out
    by_id = {fact.id: fact for fact in facts.facts}
    for document in facts.documents:
        fact = by_id[document.fact]
        assert document.text[slice(*document.spans["subject"][0])] == fact.subject
        covered = document.text[slice(*document.spans["object"][0])]
        assert covered.split()[-2:] == fact.object.split()[-2:]  # inflected at its beginning
    for query in facts.queries:
        text = query.prompt + query.target
        assert text[slice(*query.spans["subject"][0])] == by_id[query.fact].subject
        assert query.source.end <= len(query.prompt)


def test_more_templates_than_there_are_is_an_error():
    with pytest.raises(DataError, match="there are 191 in forward order; ask for fewer"):
        choose_templates(0, 180, 12, "elsewhere")
    with pytest.raises(DataError, match="there are 45 in forward order; ask for fewer"):
        choose_templates(0, 40, 12, "elsewhere", wording="question_answer")
