"""Each fault of a set is found, and the message says where it is and what to do."""

from dataclasses import replace
from pathlib import Path

import pytest

from interp_rc.facts.factset import FactSet
from interp_rc.facts.instructions import instructions
from interp_rc.facts.validate import Place, validate
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import Query, Span

PARTS = ("facts", "templates", "documents", "queries", "pairs")


def places(facts: FactSet) -> dict[str, list[Place]]:
    """As if every list had been read from a file of its own, from line 101 on."""
    return {
        part: [Place(Path(f"{part}.jsonl"), 101 + i) for i in range(len(getattr(facts, part)))]
        for part in PARTS
    }


def change(facts: FactSet, part: str, index: int, **changes: object) -> FactSet:
    items = list(getattr(facts, part))
    items[index] = replace(items[index], **changes)
    return replace(facts, **{part: items})


def refused(facts: FactSet, where: str, *fragments: str) -> None:
    with pytest.raises(DataError) as caught:
        validate(facts, places(facts))
    assert str(caught.value).startswith(f"{where}: ")
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_a_drawn_set_is_valid(small):
    validate(small)
    validate(small, places(small))


@pytest.mark.parametrize("part", PARTS[:4])
def test_an_id_twice(small, part):
    id = getattr(small, part)[0].id
    broken = change(small, part, 2, id=id)
    refused(broken, f"{part}.jsonl:103", f"id {id!r}", f"{part}.jsonl:101", "make ids unique")


@pytest.mark.parametrize("role", ["subject", "object"])
def test_a_fact_in_two_groups(small, role):
    entity = getattr(small.facts[1], role)
    broken = change(small, "facts", 4, **{role: entity})
    fragments = [entity, "trained_backward", "trained_forward", "facts.jsonl:102"]
    refused(broken, "facts.jsonl:105", role, *fragments, "remove one of the two")


def test_a_fact_twice_in_its_group(small):
    broken = change(small, "facts", 1, subject=small.facts[0].subject)
    refused(broken, "facts.jsonl:102", "facts.jsonl:101", "remove one of the two")


def test_an_unknown_relation(small):
    broken = change(small, "facts", 3, relation="parent_of")
    refused(broken, "facts.jsonl:104", "relation 'parent_of' is unknown", "define it")


@pytest.mark.parametrize("part", ["documents", "queries"])
@pytest.mark.parametrize("key", ["fact", "template"])
def test_an_unknown_fact_or_template(small, part, key):
    broken = change(small, part, 5, **{key: "gone"})
    refused(broken, f"{part}.jsonl:106", f"{key} 'gone' is unknown", "add it or correct")


@pytest.mark.parametrize("part", ["documents", "queries"])
def test_a_span_elsewhere_than_its_entity(small, part):
    spans = getattr(small, part)[0].spans
    end = spans["subject"][0].end
    missing = change(small, part, 0, spans={"subject": spans["subject"]})
    refused(missing, f"{part}.jsonl:101", "no span of the object", "say where it stands")
    empty = change(small, part, 0, spans=spans | {"object": [Span(end, end)]})
    refused(empty, f"{part}.jsonl:101", "of the object covers nothing", "correct it")
    blank = change(small, part, 0, spans=spans | {"other": [Span(end, 10_000)]})
    refused(blank, f"{part}.jsonl:101", "of the other covers nothing", "correct it")
    short = change(small, part, 0, spans=spans | {"subject": [Span(end - 2, end)]})
    refused(short, f"{part}.jsonl:101", f"not {small.facts[0].subject!r}", "correct it")


def test_a_target_that_is_no_candidate(small):
    broken = change(small, "queries", 7, candidates=[" somebody else"])
    refused(broken, "queries.jsonl:108", small.queries[7].target, "add it to them")


@pytest.mark.parametrize("changes", [{"group": "both"}, {"direction": None}])
def test_a_query_of_another_group_or_direction_than_its_fact(small, changes):
    broken = change(small, "queries", 0, **changes)
    refused(broken, "queries.jsonl:101", "('trained_forward', 'same')", "correct the query")


def asks_the_same(query: Query, prompt: str) -> dict[str, object]:
    """Changes that give a query another prompt, its spans moved along."""
    by = len(prompt) - len(query.prompt)
    spans = {
        name: [Span(s.start + by, s.end + by) if s.start >= len(query.prompt) else s for s in all]
        for name, all in query.spans.items()
    }
    return {"prompt": prompt, "spans": spans}


def leaking(small: FactSet) -> tuple[FactSet, int]:
    """A set in which query 0 is asked in the words of a document of its fact."""
    query = small.queries[0]
    told = next(d for d in small.documents if d.fact == query.fact and d.order == query.order)
    changes = asks_the_same(query, told.prompt)
    changes["spans"]["subject"] = told.spans["subject"]
    return change(small, "queries", 0, **changes), small.documents.index(told)


def test_a_held_out_prompt_in_training(small):
    broken, at = leaking(small)
    where = f"documents.jsonl:{101 + at}"
    refused(broken, "queries.jsonl:101", "is held out", where, "remove one of them")


def test_a_prompt_seen_in_training_may_say_so(small):
    broken, _ = leaking(small)
    validate(change(broken, "queries", 0, seen="training"))


def test_a_prompt_with_two_answers(small):
    first, second = small.queries[0], small.queries[1]
    again = replace(first, id="again", target=second.target)
    end = len(again.prompt + again.target)
    again = replace(again, spans=first.spans | {"object": [Span(len(again.prompt) + 1, end)]})
    broken = replace(small, queries=[*small.queries, again])
    where = f"queries.jsonl:{101 + len(small.queries)}"
    refused(broken, where, first.target, second.target, "queries.jsonl:101", "keep one of them")


def test_a_document_prompt_about_two_facts(small):
    first = small.documents[0]
    other = next(d for d in small.documents if d.fact != first.fact and d.order == first.order)
    # The second fact has the first one's name in the relation that its spans are not checked for.
    relation = replace(small.relations[0], name="other")
    facts = [
        replace(f, relation="other") if f.id in (first.fact, other.fact) else f for f in small.facts
    ]
    again = replace(first, id="again", fact=other.fact)
    broken = replace(
        small,
        facts=facts,
        relations=[*small.relations, relation],
        documents=[*small.documents, again],
    )
    where = f"documents.jsonl:{101 + len(small.documents)}"
    refused(broken, where, "documents.jsonl:101", "keep one of them")


def test_without_places_the_message_counts_items(small):
    broken = change(small, "queries", 7, fact="gone")
    with pytest.raises(DataError, match=r"^number 8 of queries: fact 'gone' is unknown"):
        validate(broken)


@pytest.fixture(scope="module")
def questions() -> FactSet:
    return instructions(0, order="answer_first", realized=6, held_out=3)


def test_two_questions_may_have_one_answer_but_no_two_facts_one_question(questions):
    first, second = questions.facts[:2]
    shared = change(questions, "facts", 1, object=first.object)
    validate(shared, places(shared))
    broken = change(questions, "facts", 1, subject=first.subject)
    refused(broken, "facts.jsonl:102", first.subject, "remove one of the two")
    assert second.subject != first.subject


def test_spans_of_facts_told_besides(questions):
    document, other = questions.documents[0], questions.facts[1]
    at = len(document.text) + 1
    spans = document.spans | {f"subject:{other.id}": [Span(at, at + len(other.subject))]}
    text = f"{document.text} {other.subject}"
    validate(change(questions, "documents", 0, text=text, spans=spans))
    wrong = change(
        questions, "documents", 0, text=text.replace(other.subject, "x" * 99), spans=spans
    )
    refused(wrong, "documents.jsonl:101", f"subject:{other.id} covers", f"not {other.subject!r}")
    for name in ("subject:nobody", f"verb:{other.id}"):
        unknown = document.spans | {name: [Span(0, 3)]}
        broken = change(questions, "documents", 0, spans=unknown)
        refused(broken, "documents.jsonl:101", repr(name), "is of no known fact")
