from dataclasses import replace

import pytest

from interp_rc.measures.symmetry.pools import FIRST, Cell, Pools
from interp_rc.measures.symmetry.shortcuts import Frozen, fit_shortcut, look_up, words


@pytest.fixture(scope="module")
def pools(pair_facts):
    return Pools(pair_facts.pairs)


def accuracy(answers, pairs):
    return sum(a == p.label for a, p in zip(answers, pairs, strict=True)) / len(pairs)


def test_looking_up_the_words_is_all_that_two_labels_ask_for(pools):
    predict = look_up(pools.train(FIRST, 64, 1, 0))
    test = pools.test(FIRST, 60)
    assert accuracy(predict(test), test) == 1
    held_out = pools.test(FIRST, 60, held_out=True)
    answers = predict(held_out)
    assert len(set(answers)) == 1  # no words were seen: the commonest label
    assert accuracy(answers, held_out) == 0.5


def test_looking_up_a_relation_that_was_left_out_is_of_no_use(pools):
    predict = look_up(pools.train(FIRST, 64, 1, 0, left_out="mother"))
    assert set(predict(pools.test(FIRST, 9, about="mother"))) == {"contradiction"}
    predict = look_up(pools.train(FIRST, 63, 1, 0, left_out="mother"))
    assert len(set(predict(pools.test(FIRST, 9, about="mother")))) == 1


def pair_of(premise, hypothesis, label, like):
    both = replace(like, spans={}, label=label)
    spans = {"premise.relation": [(0, len(premise))], "hypothesis.relation": [(0, len(hypothesis))]}
    return replace(both, premise=premise, hypothesis=hypothesis, spans=spans)


def test_looking_up_by_hand(pools):
    like = pools.test(FIRST, 1)[0]

    def of(premise, hypothesis, label="neutral"):
        return pair_of(premise, hypothesis, label, like)

    predict = look_up(
        [
            of("a", "b", "entailment"),
            of("c", "b", "contradiction"),
            of("d", "b", "contradiction"),
            of("e", "f", "neutral"),
        ]
    )
    asked = [of("a", "b"), of("z", "b"), of("e", "z"), of("z", "z"), of("b", "a")]
    assert predict(asked) == [
        "entailment", "contradiction", "neutral", "contradiction", "contradiction",
    ]  # fmt: skip


def test_words_of_the_relation(pools):
    pair = pools.test(FIRST, 1)[0]
    assert words(pair, "premise") == "is a sibling of"
    assert words(replace(pair, spans={}, relation="part_of"), "premise") == "part of"


@pytest.mark.parametrize("name", ["relation_only", "hypothesis_only", "frozen_pair"])
def test_regressions_on_frozen_vectors(pools, small_encoder, name):
    """Even a random encoder keeps the words of a relation apart."""
    frozen = Frozen(small_encoder)
    train, test = pools.train(FIRST, 100, 1, 0), pools.test(FIRST, 60)
    answers = fit_shortcut(name, train, frozen)(test)
    assert accuracy(answers, test) > (0.95 if name == "relation_only" else 0.6)
    one = [pair for pair in train if pair.label == "entailment"]
    assert set(fit_shortcut(name, one, frozen)(test)) == {"entailment"}


def test_what_was_read_is_not_read_again(pools, small_encoder, monkeypatch):
    frozen, read = Frozen(small_encoder), []
    real = type(small_encoder).embedded
    monkeypatch.setattr(
        type(small_encoder), "embedded", lambda self, texts: read.extend(texts) or real(self, texts)
    )
    first = frozen.vectors(["a", "b", "a"])
    second = frozen.vectors(["b", "c"])
    assert read == ["a", "b", "c"]
    assert (first[1] == second[0]).all()
    assert first.shape == (3, 16)


def test_three_labels_are_not_all_in_the_words(pools):
    cell = Cell("three_labels", "names")
    predict = look_up(pools.train(cell, 120, 1, 0))
    test = pools.test(cell, 60)
    assert 0.3 < accuracy(predict(test), test) < 0.75
