"""Contrasts ask the same question about two facts; files of them are checked line by line."""

import dataclasses
import json
from collections import Counter
from dataclasses import asdict, replace

import pytest

from interp_rc.facts.contrasts import (
    about_foil,
    contrasts_about,
    held_out_contrasts,
    partners,
    read_contrasts,
    swapped,
    write_contrasts,
)
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import Contrast


def test_each_is_two_queries_in_one_template(told):
    by_prompt = {q.prompt: q for q in told.queries}
    contrasts = held_out_contrasts(told, templates=2)
    assert Counter(c.order for c in contrasts) == {"forward": 18, "backward": 18}
    assert len({c.id for c in contrasts}) == len(contrasts)
    for contrast in contrasts:
        clean, corrupted = by_prompt[contrast.clean], by_prompt[contrast.corrupted]
        assert clean.template == corrupted.template
        assert clean.group == corrupted.group
        assert clean.fact == contrast.fact != corrupted.fact
        assert (contrast.target, contrast.foil) == (clean.target, corrupted.target)
        for query, (start, end) in zip((clean, corrupted), contrast.spans["source"], strict=True):
            entity = next(f for f in told.facts if f.id == query.fact)
            if query.order == "forward":
                assert query.prompt[start:end] == entity.subject


def test_partners_are_a_circle():
    ids = [f"f{i}" for i in range(9)]
    partner = partners(ids, 3)
    assert set(partner) == set(partner.values()) == set(ids)
    at, seen = "f0", []
    while at not in seen:
        seen.append(at)
        at = partner[at]
    assert len(seen) == 9
    assert partners(ids, 3) == partner != partners(ids, 4)
    assert partners(["f0"], 3) == {}


def test_a_partner_that_is_not_asked_is_refused(told):
    with pytest.raises(DataError, match="nobody is not asked in template"):
        contrasts_about(told.queries, {told.facts[0].id: "nobody"})


def test_round_trip(told, tmp_path):
    contrasts = held_out_contrasts(told, templates=1)
    write_contrasts(contrasts, tmp_path / "c.jsonl")
    assert read_contrasts(tmp_path / "c.jsonl") == contrasts


def test_three_texts_are_enough(tmp_path):
    lines = [
        {"clean": "a b", "corrupted": "c d", "target": " e"},
        {"clean": "a c", "corrupted": "c d", "target": " e", "foil": " f", "id": "mine"},
        {"clean": "a d", "corrupted": "c d", "target": " e", "order": None, "fact": "one"},
    ]
    path = tmp_path / "c.jsonl"
    path.write_text("\n\n".join(map(json.dumps, lines)), encoding="utf-8")
    first, second, third = read_contrasts(str(path))
    assert first == Contrast("line 1", "line 1", None, "a b", "c d", " e")
    assert second == Contrast("mine", "mine", None, "a c", "c d", " e", " f")
    assert third == Contrast("line 5", "one", None, "a d", "c d", " e")
    assert [c.named for c in (first, second, third)] == [
        "contrast 'line 1'",
        "contrast 'mine' (line 3)",
        "contrast 'line 5'",
    ]


def test_a_contrast_says_which_queries_it_is_made_of(told, tmp_path):
    contrasts = held_out_contrasts(told, templates=2)
    queries = {query.id: query for query in told.queries}
    prompts = {(query.fact, query.template): query.prompt for query in told.queries}
    for contrast in contrasts:
        query = queries[contrast.query]
        made_of = (contrast.fact, contrast.template, contrast.group, contrast.order)
        assert made_of == (query.fact, query.template, query.group, query.order)
        assert contrast.clean == query.prompt
        assert contrast.corrupted == prompts[contrast.partner, contrast.template]
    write_contrasts(contrasts, tmp_path / "c.jsonl")
    assert read_contrasts(tmp_path / "c.jsonl") == contrasts


def test_spans_say_where_both_entities_stand(told):
    """A and B are the texts of both facts, wherever the order puts them."""
    facts = {fact.id: fact for fact in told.facts}
    for contrast in held_out_contrasts(told, templates=2):
        texts = [text + contrast.target for text in (contrast.clean, contrast.corrupted)]
        other, fact = facts[contrast.id.rpartition("|")[2]], facts[contrast.fact]
        forward = contrast.order == "forward"
        asked, answer = ("A", "B") if forward else ("B", "A")
        found = {
            name: [text[a:b] for text, (a, b) in zip(texts, contrast.spans[name], strict=True)]
            for name in "AB"
        }
        assert found["A"] == [fact.subject, other.subject if forward else fact.subject]
        assert (found["B"][0] == found["B"][1]) == forward
        assert contrast.spans["source"] == contrast.spans[asked]
        for span, prompt in zip(
            contrast.spans[answer], (contrast.clean, contrast.corrupted), strict=True
        ):
            assert len(prompt) <= span.start
            assert span.end == len(prompt + contrast.target)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"order": "sideways"}, "'order' must be one of forward, backward; found 'sideways'"),
        ({"target": ""}, "'target' must be a text that is not empty"),
        ({"metric": "rank"}, "key 'metric' is unknown"),
        ({"spans": {"source": [[0, 3]]}}, "span 'source' has 1 places; give two"),
        (
            {"spans": {"source": [[0, 3], [5, 999]]}},
            r"is \[5, 999\] in corrupted, which has .* with",
        ),
        ({"spans": {"source": [[3, 3], [0, 2]]}}, r"is \[3, 3\] in clean"),
    ],
)
def test_a_faulty_line_is_named(told, tmp_path, change, message):
    first, second = held_out_contrasts(told, templates=1)[:2]
    path = tmp_path / "c.jsonl"
    lines = [asdict(first), asdict(second) | change]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    with pytest.raises(DataError, match=rf"c\.jsonl:2: .*{message}"):
        read_contrasts(path)


def test_ids_that_come_twice_and_empty_files(told, tmp_path):
    path = tmp_path / "c.jsonl"
    one = json.dumps(asdict(held_out_contrasts(told, templates=1)[0]))
    path.write_text(f"{one}\n{one}\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"c\.jsonl:2: .*its id comes twice"):
        read_contrasts(path)
    path.write_text("\n", encoding="utf-8")
    with pytest.raises(DataError, match="holds no contrasts"):
        read_contrasts(path)


def test_swapped_each_asks_for_the_other(told):
    contrasts = held_out_contrasts(told, templates=1)
    for one, other in zip(contrasts, swapped(contrasts), strict=True):
        assert (other.clean, other.corrupted) == (one.corrupted, one.clean)
        assert (other.target, other.foil) == (one.foil, one.target)
        for prompt, span in zip((other.clean, other.corrupted), other.spans["B"], strict=True):
            text = (prompt + other.target)[slice(*span)]
            if span.start >= len(prompt):
                assert text == other.target.strip()
        [again] = swapped([other])
        assert dataclasses.replace(again, id=one.id) == one
    alone = dataclasses.replace(contrasts[0], foil=None)
    with pytest.raises(DataError, match="has no foil"):
        swapped([alone])


def test_the_foil_is_asked_for_after_the_same_prompts(told):
    contrasts = held_out_contrasts(told, templates=1)
    for one in contrasts:
        other = about_foil(one)
        assert (one.clean, one.corrupted) == (other.clean, other.corrupted)
        assert (one.target, one.foil) == (other.foil, other.target)
        assert other.spans["source"] == one.spans["source"]
        assert all(spans[0].end <= len(one.clean) for spans in other.spans.values())
    assert any(set(about_foil(one).spans) < set(one.spans) for one in contrasts)
    with pytest.raises(DataError, match="has no foil to ask for"):
        about_foil(replace(contrasts[0], foil=None))
