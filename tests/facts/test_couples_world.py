"""The base corpus of couples tells what is true in reverse of others, and never what is false."""

from collections import Counter
from dataclasses import replace

import pytest

from interp_rc.facts.couples import relation_facts
from interp_rc.facts.couples_world import couples_world
from interp_rc.facts.fictitious import fictitious_people
from interp_rc.facts.relations import relations
from interp_rc.facts.validate import validate
from interp_rc.facts.world import world
from interp_rc.records.errors import DataError

SMALL = {"both": 5, "one_order": 2, "exposures": 20}


@pytest.fixture(scope="module")
def facts():
    return relation_facts(0, per_relation=4, both=2, exposures=5)


@pytest.fixture(scope="module")
def around(facts):
    return couples_world(facts, 0, **SMALL)


def said_of(text):
    """The relation and the two entities of a sentence, by the table alone."""
    for row in relations().values():
        for wording in row.wordings:
            start, between, end = wording.text.replace("{object}", "{subject}").split("{subject}")
            words = text.removesuffix(".").split(between)
            if between and len(words) == 2 and not start and not end and " " not in "".join(words):
                return row.name, *words
    raise AssertionError(text)


def test_which_couples_are_told_in_reverse(around):
    said = {said_of(document.text) for document in around.documents}
    pairs = {
        name: {(one, other) for relation, one, other in said if relation == name}
        for name in ("sibling", "child", "led_to", "caused_by")
    }
    back = {name: {(b, a) for a, b in found} for name, found in pairs.items()}
    assert len(pairs["sibling"] & back["sibling"]) == 2 * 5
    assert len(pairs["sibling"] - back["sibling"]) == 2
    assert len(pairs["child"]) == 7
    assert not pairs["child"] & back["child"]
    assert not pairs["led_to"] & back["led_to"]
    assert len(pairs["led_to"] & back["caused_by"]) == len(pairs["caused_by"]) == 5
    assert len(pairs["led_to"]) == 7


def test_sizes(around):
    assert Counter(fact.group for fact in around.facts) == {
        "symmetric_both": 5, "symmetric": 2, "inverse_both": 5, "inverse": 2, "antisymmetric": 7,
    }  # fmt: skip
    assert len(around.documents) == 20 * (2 * 5 + 2 + 2 * 5 + 2 + 7)
    uses = Counter((d.fact, d.order, d.template) for d in around.documents)
    assert set(uses.values()) <= {2, 3}  # 20 exposures in 7 wordings
    validate(around)


def test_none_of_the_run_s_entities_is_told_of(facts, around):
    assert not facts.entities() & around.entities()
    words = {word.strip(".") for document in around.documents for word in document.text.split()}
    assert not facts.entities() & words
    assert around.entities() <= words


def test_queries_ask_both_orders_and_know_what_was_told(around):
    told = {(document.fact, document.order) for document in around.documents}
    for query in around.queries:
        expected = "training" if (query.fact, query.order) in told else "elsewhere"
        assert query.seen == expected
    directions = Counter((q.group, q.direction) for q in around.queries)
    assert directions["antisymmetric", "false_reverse"] == 7 * 2
    assert directions["symmetric_both", None] == 5 * 4


def test_wordings_that_are_nowhere_stay_out():
    facts = relation_facts(0, per_relation=3, both=2, exposures=5, held_out_seen="nowhere")
    around = couples_world(facts, 0, **SMALL)
    held_out = {t.id for t in facts.templates if t.role == "held_out"}
    assert held_out
    assert not held_out & {document.template for document in around.documents}


def test_the_world_of_couples_is_made_by_the_options_of_every_world(facts):
    around = world(
        facts, 3, both=2, trained_forward=1, trained_backward=1, exposures=4, in_context=3
    )
    assert len(around.facts) == 3 * 4
    assert sum(document.template == "in_context" for document in around.documents) == 3
    again = world(
        facts, 3, both=2, trained_forward=1, trained_backward=1, exposures=4, in_context=3
    )
    assert around == again


def test_without_facts_told_in_one_order_there_is_no_relation_to_tell_of(facts):
    both = [fact for fact in facts.facts if fact.group.endswith("_both")]
    with pytest.raises(DataError, match="facts of kind relations"):
        couples_world(replace(facts, facts=both), 0, **SMALL)


def test_the_benchmark_as_text_comes_besides_and_is_about_nobody_else(facts):
    bare, told = (world(facts, 0, both=2, exposures=3, symmetry=count) for count in (0, 200))
    texts = [d for d in told.documents if d.template.startswith("symmetry_texts.")]
    assert len(texts) == 200
    assert told.documents == [*bare.documents, *texts]
    assert (told.facts, told.queries) == (bare.facts, bare.queries)
    words = {word.strip(".,?:;'’") for text in texts for word in text.text.split()}
    assert not words & (facts.entities() | told.entities())


def test_the_benchmark_as_text_is_about_nobody_of_a_world_of_people():
    people = fictitious_people(0, per_group=5)
    around = world(people, 0, both=3, exposures=2, symmetry=300)
    texts = [d.text for d in around.documents if d.template.startswith("symmetry_texts.")]
    assert len(texts) == 300
    named = [name for name in people.entities() | around.entities() if name in "\n".join(texts)]
    assert named == []
