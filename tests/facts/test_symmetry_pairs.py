"""Pairs are balanced, say what their labels say, and are the same however many are asked for."""

import random
from collections import Counter
from itertools import islice, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interp_rc.facts.relations import relations
from interp_rc.facts.symmetry import symmetry
from interp_rc.facts.symmetry_pairs import symmetry_pairs
from interp_rc.facts.validate import validate
from interp_rc.facts.validate_pairs import entities_of
from interp_rc.records.errors import DataError

SYMMETRIC = {"sibling", "partially_overlaps", "equivalent_name", "possibly_same", "different_from"}
LABEL_SETS, FORMS, SPLITS = ("two_labels", "three_labels"), ("names", "ids"), ("train", "test")
SETTINGS = st.fixed_dictionaries(
    {
        "label_set": st.sampled_from(LABEL_SETS),
        "entities": st.sampled_from(FORMS),
        "split": st.sampled_from(SPLITS),
        "held_out": st.booleans(),
        "about": st.none() | st.sets(st.sampled_from(list(relations())), min_size=1),
    }
)


def drawn(count, label_set="three_labels", entities="names", split="train", **more):
    return list(
        symmetry_pairs(3, count, label_set=label_set, entities=entities, split=split, **more)
    )


def label_by_hand(pair):
    """From the texts alone: which wording each is in, and what stands where."""
    premise, hypothesis = read(pair.premise), read(pair.hypothesis)
    assert premise[0] == hypothesis[0] == pair.relation
    if premise[1:] == hypothesis[1:]:
        return "unswapped", "entailment"
    if premise[1:] == hypothesis[:0:-1]:
        return "swapped", "entailment" if pair.relation in SYMMETRIC else "contradiction"
    assert len({*premise[1:], *hypothesis[1:]}) == 3
    return "wrong_entity", "neutral"


def read(text):
    """Relation and entities of a text, by the longest wording that it holds."""
    found = [
        (len(wording.words), name, *text.split(f" {wording.words} "))
        for name, entry in relations().items()
        for wording in entry.wordings
        if f" {wording.words} " in text
    ]
    return max(found)[1:]


@pytest.mark.parametrize(("label_set", "entities"), product(LABEL_SETS, FORMS))
@pytest.mark.parametrize("held_out", [False, True])
def test_labels_forms_and_spans_are_those_of_the_texts(label_set, entities, held_out):
    for pair in drawn(180, label_set, entities, held_out=held_out):
        assert label_by_hand(pair) == (pair.form, pair.label)
        assert entities_of(pair) == [*read(pair.premise)[1:], *read(pair.hypothesis)[1:]]
        for text in ("premise", "hypothesis"):
            words = [
                getattr(pair, text)[start:end] for start, end in pair.spans[f"{text}.relation"]
            ]
            entry = relations()[pair.relation]
            assert " ".join(words) in {wording.words for wording in entry.wordings}


@pytest.mark.parametrize("held_out", [False, True])
def test_wordings_are_those_of_the_label_set(held_out):
    for pair in drawn(140, "two_labels", held_out=held_out):
        entry = relations()[pair.relation]
        used = {words_of(pair, "premise"), words_of(pair, "hypothesis")}
        own = entry.choose(held_out=True) if held_out else entry.wordings[:1]
        assert len(used) == 1
        assert used <= {wording.words for wording in own}
    for pair in drawn(300, "three_labels", held_out=held_out):
        entry = relations()[pair.relation]
        training = {wording.words for wording in entry.choose(held_out=False)}
        said, asked = words_of(pair, "premise"), words_of(pair, "hypothesis")
        assert said in training
        assert said != asked
        assert (asked not in training) is held_out


def words_of(pair, text):
    return " ".join(getattr(pair, text)[slice(*span)] for span in pair.spans[f"{text}.relation"])


def test_two_labels_are_balanced_over_classes_and_relations():
    pairs = drawn(900, "two_labels")  # 450 = 5 x 90 = 9 x 50
    assert Counter(pair.label for pair in pairs) == {"entailment": 450, "contradiction": 450}
    counts = Counter(pair.relation for pair in pairs)
    assert {counts[name] for name in SYMMETRIC} == {90}
    assert {counts[name] for name in set(counts) - SYMMETRIC} == {50}
    assert {pair.form for pair in pairs} == {"swapped"}


def test_three_labels_are_balanced_over_forms_classes_and_relations():
    pairs = drawn(1080)
    kinds = Counter((p.label, p.form, p.relation in SYMMETRIC) for p in pairs)
    assert kinds == {
        ("entailment", "swapped", True): 180,
        ("entailment", "unswapped", True): 90,
        ("entailment", "unswapped", False): 90,
        ("contradiction", "swapped", False): 360,
        ("neutral", "wrong_entity", True): 180,
        ("neutral", "wrong_entity", False): 180,
    }
    for kind in kinds:
        within = Counter(
            p.relation for p in pairs if (p.label, p.form, p.relation in SYMMETRIC) == kind
        )
        assert len(within) == (5 if kind[2] else 9)
        assert max(within.values()) - min(within.values()) <= 1


def test_the_order_of_entities_does_not_give_neutral_pairs_away():
    """Half of them, about, have a hypothesis that begins as the premise does or ends so."""
    ways = Counter()
    for pair in drawn(3000):
        if pair.form == "wrong_entity":
            subject, object, *there = entities_of(pair)
            ways[subject == there[0], object == there[0], subject == there[1]] += 1
            if pair.relation in ("mother", "father"):
                assert there[1] != object  # "another is the father of Y" contradicts
    assert len(ways) == 4
    assert min(ways.values()) > 150


@settings(max_examples=40, deadline=None)
@given(SETTINGS, st.integers(0, 2**32), st.integers(0, 40), st.integers(0, 40))
def test_a_shorter_request_begins_a_longer_one(options, seed, few, more):
    short = list(symmetry_pairs(seed, few, **options))
    assert len(short) == few
    long = symmetry_pairs(seed, few + more, **options)
    assert list(islice(long, few)) == short
    assert len(list(long)) == more


@settings(max_examples=25, deadline=None)
@given(SETTINGS)
def test_what_the_relations_can_have_stays_balanced(options):
    about = options["about"] or set(relations())
    pairs = list(symmetry_pairs(1, 120, **options))
    assert {pair.relation for pair in pairs} == about
    labels = Counter(pair.label for pair in pairs)
    assert max(labels.values()) - min(labels.values()) <= 1
    classes = {name in SYMMETRIC for name in about}
    if options["label_set"] == "two_labels":
        assert len(labels) == len(classes)
    else:
        assert len(labels) == (3 if False in classes else 2)


def test_a_single_relation_has_what_it_can_have():
    assert {p.label for p in drawn(10, "two_labels", about=["sibling"])} == {"entailment"}
    assert {p.label for p in drawn(10, about=["mother"])} == {
        "entailment", "neutral", "contradiction"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("about", "said"),
    [(["sibling", "cousin"], "'cousin' is unknown"), ([], "no relation"), ("sibling", "a list")],
)
def test_what_is_no_relation_is_refused(about, said):
    with pytest.raises(DataError, match=said):
        drawn(1, about=about)


def test_streams_have_ids_of_their_own_and_splits_have_entities_of_their_own():
    ids, where = Counter(), {}
    for label_set, entities, split in product(LABEL_SETS, FORMS, SPLITS):
        for held_out in (False, True):
            stream = drawn(60, label_set, entities, split, held_out=held_out)
            met = Counter(entity for pair in stream for entity in set(entities_of(pair)))
            assert set(met.values()) == {1}
            ids.update(pair.id for pair in stream)
            for entity in met:
                assert where.setdefault(entity, split) == split
    assert set(ids.values()) == {1}
    assert len(ids) == 16 * 60


def test_seeds_draw_other_pairs():
    first, again, other = (
        [p.premise for p in symmetry_pairs(seed, 20, label_set="two_labels", entities="ids",
                                           split="test")]
        for seed in (1, 1, 2)
    )  # fmt: skip
    assert first == again
    assert not set(first) & set(other)


def test_the_set_has_every_part_and_is_sound(tmp_path):
    from interp_rc.facts.folder import read_facts, write_facts

    facts = symmetry(5, train=12, test=6)
    parts = Counter((p.label_set, p.entities, p.split, p.held_out) for p in facts.pairs)
    assert parts == {
        (label_set, entities, split, held_out): 12 if split == "train" else 6
        for label_set, entities in product(LABEL_SETS, FORMS)
        for split, held_out in (("train", False), ("test", False), ("test", True))
    }
    assert {relation.name for relation in facts.relations} == set(relations())
    validate(facts)
    shuffled = random.Random(0).sample(facts.pairs, len(facts.pairs))
    assert {pair.id for pair in shuffled} == {pair.id for pair in facts.pairs}
    write_facts(facts, tmp_path / "facts")
    assert read_facts(tmp_path / "facts") == facts
