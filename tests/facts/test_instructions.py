"""Experiment 3: what is told in which order, about which questions, and what is asked."""

import re
from collections import Counter, defaultdict

import pytest

from interp_rc.facts.describe import summary
from interp_rc.facts.folder import read_facts, write_facts
from interp_rc.facts.instructions import instructions, packaged_example, packaged_phrasings
from interp_rc.facts.options import Instructions
from interp_rc.facts.validate import validate
from interp_rc.facts.world import world
from interp_rc.records.errors import DataError

ORDER = {"question_first": "forward", "answer_first": "backward"}
HELD_OUT = {"question_first": "trained_forward", "answer_first": "trained_backward"}
SMALL = {"both": 20, "trained_forward": 6, "trained_backward": 6, "exposures": 30}


@pytest.fixture(scope="module", params=list(ORDER))
def order(request):
    return request.param


@pytest.fixture(scope="module")
def facts(order):
    return instructions(3, order=order, realized=40, held_out=15, phrasings=2)


def test_the_shape_of_the_paper():
    paper = Instructions().build(0)
    assert Counter(fact.group for fact in paper.facts) == {
        "realized": 1000,
        "trained_forward": 100,
    }
    assert len(paper.documents) == 1000 + 1100  # an example, and an instruction in one phrasing
    assert len({d.template for d in paper.documents}) == 2


def test_a_set_is_valid_and_survives_its_folder(facts, tmp_path):
    validate(facts)
    write_facts(facts, tmp_path / "facts")
    assert read_facts(tmp_path / "facts") == facts
    table = summary(facts)
    assert table[table.part == "facts"]["count"].tolist() == [40, 15]


def test_instructions_are_told_in_one_order_and_examples_of_the_realized_only(facts, order):
    group = {fact.id: fact.group for fact in facts.facts}
    told = defaultdict(list)
    for document in facts.documents:
        told[document.fact].append((document.template, document.order))
    for fact, documents in told.items():
        examples = [d for d in documents if d[0] == "example"]
        instructed = [d for d in documents if d[0] != "example"]
        assert len(examples) == (group[fact] == "realized")
        assert len(set(instructed)) == 2
        assert {told_in for _, told_in in instructed} == {ORDER[order]}
    assert set(told) == set(group)


def test_the_words_stand_where_the_order_says(facts, order):
    by_id = {fact.id: fact for fact in facts.facts}
    for document in facts.documents:
        fact = by_id[document.fact]
        places = [document.text.index(f" {text}") for text in (fact.subject, fact.object)]
        first = "forward" if document.template == "example" else ORDER[order]
        assert (places[0] < places[1]) == (first == "forward")


def test_held_out_questions_are_asked_in_their_direction_and_never_shown(facts, order):
    asked = [query for query in facts.queries if query.group == HELD_OUT[order]]
    assert len(asked) == 15
    direction = {"question_first": "same", "answer_first": "reverse"}[order]
    assert {(q.order, q.direction, q.seen) for q in asked} == {("forward", direction, "training")}
    texts = [document.text for document in facts.documents]
    for query in asked:
        assert re.fullmatch(r"Q: .*\? A:", query.prompt)
        assert not any(text.startswith(query.prompt) for text in texts)
        assert len(set(query.candidates)) == 15
    realized = [query for query in facts.queries if query.group == "realized"]
    assert len(realized) == 15
    assert all(query.direction is None for query in realized)
    assert {query.prompt + query.target for query in realized} <= set(texts)


def test_both_orders_tell_the_same_questions_and_share_their_base_corpus():
    one, other = (
        instructions(3, order=order, realized=40, held_out=15, phrasings=2) for order in ORDER
    )
    assert {(f.id, f.subject, f.object) for f in one.facts} == {
        (f.id, f.subject, f.object) for f in other.facts
    }
    assert world(one, 3, **SMALL).documents == world(other, 3, **SMALL).documents


def test_the_base_corpus_tells_other_questions_and_answers_in_all_phrasings(facts):
    around = world(facts, 3, **SMALL)
    validate(around)
    assert not around.entities() & facts.entities()
    corpus = "\n".join(document.text for document in around.documents)
    assert [text for text in facts.entities() if f" {text}" in corpus] == []
    own = {template.id for template in [*packaged_phrasings(), packaged_example()]}
    assert {document.template for document in around.documents} == own
    assert Counter(fact.group for fact in around.facts) == {
        "realized": 20,
        "trained_forward": 6,
        "trained_backward": 6,
    }
    assert around.drawn_from == "questions"


def test_more_phrasings_than_there_are():
    with pytest.raises(DataError, match="13 phrasings were asked for, but there are 12"):
        instructions(0, realized=4, held_out=2, phrasings=13)


def test_phrasings_have_a_space_before_both_entities():
    for template in [*packaged_phrasings(), packaged_example()]:
        assert " {name}" in template.text
        assert " {description}" in template.text
    assert len({t.text for t in packaged_phrasings()}) == 24
