"""Each fault of a pair is found, and the message says where it is."""

from dataclasses import replace

import pytest

from interp_rc.facts.describe_pairs import pair_examples, pair_summary
from interp_rc.facts.symmetry import symmetry
from interp_rc.facts.validate import validate
from interp_rc.facts.validate_pairs import entities_of
from interp_rc.records.nouns import Span
from tests.facts.test_validate import refused


@pytest.fixture(scope="module")
def facts():
    """48 pairs; the first six are of two labels, about names, for training."""
    return symmetry(0, train=6, test=3)


def broken(facts, index, **changes):
    pairs = list(facts.pairs)
    pairs[index] = replace(pairs[index], **changes)
    return replace(facts, pairs=pairs)


def without(spans, name):
    return {key: value for key, value in spans.items() if key != name}


def test_each_fault(facts):
    validate(facts)
    pair = facts.pairs[2]
    end = len(pair.premise)
    for changes, said in [
        ({"relation": "cousin"}, "'cousin' is unknown"),
        ({"id": facts.pairs[0].id}, "is that of pairs.jsonl:101"),
        ({"spans": without(pair.spans, "hypothesis.object")}, "no span hypothesis.object"),
        ({"spans": pair.spans | {"premise.subject": [Span(end, end + 4)]}}, "covers ''"),
        ({"spans": pair.spans | {"premise.verb": [Span(0, 1)]}}, "'premise.verb' is of nothing"),
        ({"form": "unswapped"}, "unswapped pair is not of two_labels"),
        ({"form": "unswapped", "label_set": "three_labels"}, "not unswapped"),
        ({"form": "wrong_entity", "label_set": "three_labels"}, "not wrong_entity"),
        ({"hypothesis": pair.premise, "spans": unswapped(pair)}, "not swapped"),
    ]:
        refused(broken(facts, 2, **changes), "pairs.jsonl:103", said)


def unswapped(pair):
    """As if the premise had been said again."""
    return pair.spans | {
        f"hypothesis.{slot}": pair.spans[f"premise.{slot}"]
        for slot in ("subject", "object", "relation")
    }


def test_an_entity_in_both_splits(facts):
    whole = broken(facts, 4, split="test", id="moved")
    validate(whole)  # nothing else is about its entities
    subject = entities_of(facts.pairs[4])[0]
    both = replace(whole, pairs=[*whole.pairs, facts.pairs[4]])
    refused(both, f"pairs.jsonl:{101 + len(facts.pairs)}", repr(subject), "pairs.jsonl:105")


def test_counts_and_examples_of_pairs(facts):
    counts = pair_summary(facts.pairs)
    assert counts["count"].sum() == len(facts.pairs) == 48
    test = counts[(counts["split"] == "test") & (counts["label_set"] == "two_labels")]
    assert test.groupby(["entities", "held_out"])["count"].sum().tolist() == [3, 3, 3, 3]
    row = counts.iloc[0]
    assert (row["label"], row["count"], row["relations"]) == ("entailment", 3, 3)
    shown = pair_examples(facts.pairs, 1)
    assert len(shown) == len(counts)
    assert shown.iloc[0]["premise"] == facts.pairs[0].premise
    assert len(pair_examples(facts.pairs, 100)) == 48
