"""Couples are told in one order, asked in both, and false only where the relation makes it so."""

from collections import Counter
from dataclasses import replace

import pytest

from interp_rc.facts.couples import couples, group_templates, relation_facts
from interp_rc.facts.folder import read_facts, write_facts
from interp_rc.facts.options import Relations
from interp_rc.facts.relations import relations
from interp_rc.facts.validate import validate
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import TOLD_IN, direction_of


@pytest.fixture(scope="module")
def facts():
    return relation_facts(0, per_relation=6, both=3, exposures=7)


def test_sizes_and_exposures(facts):
    counts = {"symmetric": 6, "inverse": 6, "antisymmetric": 6}
    counts |= {"symmetric_both": 3, "inverse_both": 3}
    assert Counter(fact.group for fact in facts.facts) == counts
    of = {fact.id: fact for fact in facts.facts}
    told = Counter((of[d.fact].group, d.order) for d in facts.documents)
    assert told == {
        **{(kind, "forward"): 7 * counts[kind] for kind in counts},
        **{(kind, "backward"): 7 * 3 for kind in ("symmetric_both", "inverse_both")},
    }
    assert facts == Relations(per_relation=6, both=3, exposures=7).build(0)
    validate(facts)


def test_no_entity_is_in_two_facts(facts):
    named = [text for fact in facts.facts for text in (fact.subject, fact.object)]
    assert len(set(named)) == len(named) == 2 * len(facts.facts)


def test_documents_say_the_relation_in_its_own_words_or_its_inverse_s(facts):
    """Put together by hand from the table."""
    of = {fact.id: fact for fact in facts.facts}
    for document in facts.documents:
        fact = of[document.fact]
        row = relations()[fact.relation]
        first, second = fact.subject, fact.object
        if document.order == "backward":
            first, second = second, first
            row = relations()[row.inverse] if row.inverse else row
        said = {
            wording.text.replace("{subject}", first).replace("{object}", second) + "."
            for wording in row.wordings
            if not wording.held_out
        }
        assert document.text in said


@pytest.mark.parametrize(
    ("group", "reverse", "direction"),
    [
        ("symmetric", "{} is a sibling of", "reverse"),
        ("inverse", "{} caused by", "reverse"),
        ("antisymmetric", "{} is a child of", "false_reverse"),
    ],
)
def test_the_reverse_is_asked_in_the_words_that_make_it_right_or_false(
    facts, group, reverse, direction
):
    fact = next(fact for fact in facts.facts if fact.group == group)
    asked = [query for query in facts.queries if query.fact == fact.id]
    back = {query.prompt: query for query in asked if query.order == "backward"}
    query = back[reverse.format(fact.object)]
    assert (query.target, query.direction, query.seen) == (
        f" {fact.subject}",
        direction,
        "training",
    )
    assert Counter(q.direction for q in asked) == {"same": 2, direction: 3}
    assert {q.seen for q in asked if q.direction == "same"} == {"elsewhere"}
    same_kind = [one for one in facts.facts if one.group == group]
    assert query.candidates == [f" {one.subject}" for one in same_kind]


def test_directions_say_which_reverse_is_false():
    found = {group: direction_of(group, "backward") for group in TOLD_IN}
    assert [s for s, direction in found.items() if direction == "false_reverse"] == [
        "antisymmetric"
    ]
    assert direction_of("antisymmetric", "forward") == "same"
    assert direction_of("inverse_both", "backward") is None


def test_no_prompt_of_a_query_is_a_document_s_for_facts_told_one_way(facts):
    """Held-out wordings in the same order, and in reverse nothing of these facts at all."""
    prompts = {document.prompt for document in facts.documents}
    once = [query for query in facts.queries if not query.group.endswith("_both")]
    assert once
    assert not {query.prompt for query in once} & prompts


def test_a_folder_gives_the_same_back(facts, tmp_path):
    write_facts(facts, tmp_path / "facts")
    assert read_facts(tmp_path / "facts") == facts


def test_an_answer_counted_as_right_where_it_is_false_is_refused(facts):
    index = next(i for i, q in enumerate(facts.queries) if q.direction == "false_reverse")
    queries = list(facts.queries)
    queries[index] = replace(queries[index], direction="reverse")
    with pytest.raises(DataError, match="the fact's are"):
        validate(replace(facts, queries=queries))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"symmetric": "child"}, "facts.symmetric is 'child'"),
        ({"antisymmetric": "sibling"}, "facts.antisymmetric is 'sibling'"),
        ({"inverse": "mother"}, "of that kind are led_to, caused_by"),
        ({"antisymmetric": "nonsense"}, "child, mother"),
        ({"per_relation": 500}, "names were asked for, and 2800 are left"),
    ],
)
def test_what_cannot_be_is_refused(change, words):
    with pytest.raises(DataError, match=words):
        relation_facts(0, **change)


def test_the_inverted_relation_may_be_asked_in_its_own_words_too():
    """Of other facts, as the antisymmetric one: there the same words are false."""
    facts = relation_facts(0, antisymmetric="led_to", per_relation=3, both=2, exposures=5)
    validate(facts)
    back = {(q.group, q.direction): q.prompt for q in facts.queries if q.order == "backward"}
    assert back["antisymmetric", "false_reverse"].endswith(" triggered")
    assert back["inverse", "reverse"].endswith(" was brought on by")


def test_names_are_drawn_by_seed_and_avoided():
    first, again, other = (couples(seed, 20) for seed in (0, 0, 1))
    assert first == again != other
    taken = {name for one in first for name in (one.name, one.noun)}
    assert not taken & {name for one in couples(0, 1300, taken) for name in (one.name, one.noun)}


def test_a_base_corpus_may_not_know_what_is_false():
    for group, relation in (("antisymmetric", "child"), ("symmetric", "sibling")):
        templates = group_templates(group, relations()[relation], "nowhere")
        backward = [t for t in templates if t.order == "backward" and t.role == "training"]
        assert {template.in_base for template in backward} == {group == "symmetric"}
        assert not any(t.in_base for t in templates if t.role == "held_out")
