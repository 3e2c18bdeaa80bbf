from collections import Counter, defaultdict
from dataclasses import replace

import pytest

from interp_rc.measures.symmetry.altered import entity, neutral, shuffled, wrong_entity
from interp_rc.measures.symmetry.pools import CELLS, FIRST, Cell, Pools, evenly, symmetry_of


@pytest.fixture(scope="module")
def pools(pair_facts):
    return Pools(pair_facts.pairs)


def test_cells_with_something_to_train_and_test(pools, pair_facts):
    assert pools.cells == CELLS
    some = [p for p in pair_facts.pairs if p.entities == "ids" or p.split == "train"]
    assert Pools(some).cells == [Cell("two_labels", "ids"), Cell("three_labels", "ids")]


@pytest.mark.parametrize("size", [16, 33, 64])
def test_beginnings_of_a_draw_are_even_and_nested(pools, size):
    found = pools.train(FIRST, size, 1, 0)
    assert found == pools.train(FIRST, 100, 1, 0)[:size]
    assert found != pools.train(FIRST, size, 1, 1)
    labels = Counter(pair.label for pair in found)
    assert max(labels.values()) - min(labels.values()) <= 1
    for one in ("symmetric", "antisymmetric"):
        relations = Counter(p.relation for p in found if symmetry_of(p.relation) == one)
        assert max(relations.values()) - min(relations.values()) <= 1


def test_a_relation_left_out_leaves_the_rest_balanced(pools):
    found = pools.train(FIRST, 64, 1, 0, left_out="sibling")
    assert "sibling" not in {pair.relation for pair in found}
    assert Counter(pair.label for pair in found) == {"entailment": 32, "contradiction": 32}
    assert {p.relation for p in pools.test(FIRST, 9, about="sibling")} == {"sibling"}


def test_three_labels_come_in_turn_with_their_forms(pools):
    found = pools.train(Cell("three_labels", "ids"), 60, 1, 0)
    assert set(Counter(pair.label for pair in found).values()) == {20}
    entailed = Counter(pair.form for pair in found if pair.label == "entailment")
    assert entailed == {"swapped": 10, "unswapped": 10}


def test_what_runs_out_is_passed_over(pools):
    few = [p for p in pools.choose(FIRST, "train") if p.label == "entailment"][:2]
    many = [p for p in pools.choose(FIRST, "train") if p.label == "contradiction"][:5]
    found = evenly(many + few)
    assert sorted(p.id for p in found) == sorted(p.id for p in many + few)
    assert [p.label for p in found[:4]] == ["contradiction", "entailment"] * 2


def test_altered_pairs_are_about_others_and_say_where(pools):
    pairs = pools.test(FIRST, 60)
    for before, after in zip(pairs, wrong_entity(pairs), strict=True):
        here = {entity(after, "premise.subject"), entity(after, "premise.object")}
        there = {entity(after, "hypothesis.subject"), entity(after, "hypothesis.object")}
        assert len(here & there) == 1
        assert (after.premise, after.label) == (before.premise, before.label)
        for words in ("premise", "hypothesis"):
            start, end = after.spans[f"{words}.relation"][0]
            old_start, old_end = before.spans[f"{words}.relation"][0]
            text, old = getattr(after, words), getattr(before, words)
            assert text[start:end] == old[old_start:old_end]
    for after in shuffled(pairs):
        here = {entity(after, "premise.subject"), entity(after, "premise.object")}
        there = {entity(after, "hypothesis.subject"), entity(after, "hypothesis.object")}
        assert not here & there
        assert after.hypothesis.startswith(entity(after, "hypothesis.subject"))
    assert {pair.label for pair in neutral(pairs)} == {"neutral"}
    kept = defaultdict(list)  # which entity is replaced must not tell relation or label
    for before, after in zip(pairs, wrong_entity(pairs), strict=True):
        same = entity(after, "hypothesis.subject") == entity(before, "hypothesis.subject")
        kept[before.relation, before.label].append(same)
    for times in kept.values():
        assert abs(times.count(True) - times.count(False)) <= 1


def test_pairs_that_cannot_be_altered_are_left_out(pools):
    pairs = pools.test(FIRST, 10)
    assert wrong_entity([replace(pairs[0], spans={}), *pairs[1:]])[0].id == f"{pairs[1].id}/wrong"
    assert wrong_entity(pairs[:1]) == []
