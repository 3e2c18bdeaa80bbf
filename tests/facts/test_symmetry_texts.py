"""The benchmark as texts: each tells a pair, says what its label says, and keeps its spans."""

import re
from collections import Counter

from interp_rc.facts.named_entities import split_of
from interp_rc.facts.relations import relations
from interp_rc.facts.symmetry_texts import symmetry_texts, ways

# Read off by hand what a text claims about its second half.
CLAIMS = {
    "contradiction": r"false|not true|cannot|ruled out",
    "neutral": r"unknown|does not tell|remains open|may or may not",
    "entailment": r"Therefore|and so|follows|must",
}
TRAINING = sorted(
    ((wording.words, name, wording.held_out) for name, entry in relations().items()
     for wording in entry.wordings),
    key=lambda one: -len(one[0]),
)  # fmt: skip


def claim(text):
    return next(label for label, words in CLAIMS.items() if re.search(words, text))


def test_texts_say_what_holds():
    documents = symmetry_texts(0, 360)
    assert len({document.id for document in documents}) == 360
    labels = Counter()
    for document in documents:
        label = claim(document.text)
        labels[label] += 1
        assert document.template.split(".")[1] == label
        said = [one for one in TRAINING if f" {one[0]} " in document.text]
        relation = said[0][1]
        symmetric = relations()[relation].symmetry == "symmetric"
        if document.order == "backward":
            assert label == ("entailment" if symmetric else "contradiction")
        else:
            assert label != "contradiction"
    assert labels == {"entailment": 120, "contradiction": 120, "neutral": 120}


def test_spans_are_of_the_second_half_and_entities_are_for_training():
    for document in symmetry_texts(1, 120):
        covered = {name: document.text[slice(*spans[0])] for name, spans in document.spans.items()}
        assert {split_of(entity) for entity in covered.values()} == {"train"}
        first, second = sorted(spans[0] for spans in document.spans.values())
        names = sorted(document.spans, key=lambda name: document.spans[name])
        assert names == (
            ["object", "subject"] if document.order == "backward" else ["subject", "object"]
        )
        assert document.prompt == document.text[: second.start].rstrip()
        assert document.text[second.end :] == "."
        told = document.text[: first.start]
        shared = [entity for entity in covered.values() if entity.lower() in told.lower()]
        assert len(shared) == (1 if claim(document.text) == "neutral" else 2)
        if document.order == "backward":  # the premise has the subject first
            places = [told.lower().index(covered[name].lower()) for name in ("subject", "object")]
            assert places == sorted(places)


def test_a_longer_request_begins_alike_and_every_way_is_used():
    long = symmetry_texts(2, 200)
    assert symmetry_texts(2, 70) == long[:70]
    assert symmetry_texts(3, 70) != long[:70]
    assert {document.template for document in long} == {
        f"symmetry_texts.{label}.{way}" for label, texts in ways().items()
        for way in range(len(texts))
    }  # fmt: skip
    assert all(document.text[0].isupper() for document in long)


def test_only_training_wordings_are_told_and_only_of_the_relations_asked_for():
    held_out = [words for words, _, out in TRAINING if out]
    some = [words for words, name, out in TRAINING if name in ("led_to", "sibling") and not out]
    for document in symmetry_texts(4, 90, about=["led_to", "sibling"]):
        assert not any(f" {words} " in document.text for words in held_out)
        assert sum(f" {words} " in document.text for words in some) == 2
