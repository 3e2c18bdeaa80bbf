"""Rates of few trials, by hand."""

import numpy as np
import pandas as pd
import pytest

from interp_rc.measures.symmetry.estimates import balanced, left_out
from interp_rc.stats.intervals import rate_over_seeds, t_mean
from interp_rc.stats.strata import mean_of_strata


def answered(draw: int, label: str, hits: int, n: int) -> dict[str, object]:
    return {"draw": draw, "label": label, "hits": hits, "n": n}


def test_labels_count_alike_however_many_pairs_they_have():
    rows = pd.DataFrame([
        answered(0, "neutral", 30, 40), answered(0, "neutral", 10, 40),
        answered(0, "entailment", 10, 10),
        answered(1, "neutral", 0, 80), answered(1, "entailment", 5, 10),
    ])  # fmt: skip
    assert balanced(rows) == rate_over_seeds(np.array([0.75, 0.25]), 90)


def test_a_single_draw_has_the_interval_of_its_pairs():
    rows = pd.DataFrame([answered(0, "neutral", 0, 4), answered(0, "entailment", 30, 40)])
    found = balanced(rows)
    pairs = [np.zeros(4), np.repeat([1.0, 0.0], [30, 10])]
    assert found.value == pytest.approx(0.375)
    # By hand, of the two labels' own intervals: the roots of the mean squares, over two.
    none, most = t_mean(pairs[0], "fraction"), t_mean(pairs[1], "fraction")
    assert found.low == pytest.approx(0.375 - (0.75 - most.low) / 2)
    assert found.high == pytest.approx(0.375 + np.hypot(none.high, most.high - 0.75) / 2)
    assert found == mean_of_strata([none, most])


def test_each_relation_that_was_left_out_has_its_own_rate():
    rows = pd.DataFrame(
        {"label_set": "two_labels", "entities": "names", "variant": "(a) 0", "method": "embeddings",
         "when": when, "left_out": relation, "relation": relation, "form": form, "n": 10,
         "hits": hits}
        for when, relation, form, hits in (
            ("before", "sibling", "reverse", 5), ("after", "sibling", "reverse", 8),
            ("after", "sibling", "same", 7), ("after", "child", "reverse", 1),
        )
    )  # fmt: skip
    singly = [(of, one) for of, one in left_out(rows) if of["method"] == "embeddings"]
    assert {of["relation"]: (one.value, one.low, one.n) for of, one in singly} == {
        "sibling": (0.75, None, 20),
        "child": (0.1, None, 10),
    }
    assert {(of["label_set"], of["entities"], of["when"]) for of, _ in singly} == {
        ("two_labels", "names", "after")
    }
