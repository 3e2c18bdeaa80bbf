"""Tests and verdict of tables whose answer is known."""

import numpy as np
import pandas as pd
import pytest

from interp_rc.facts.relations import relations
from interp_rc.measures.symmetry import judged
from interp_rc.measures.symmetry.estimates import estimates


def table_of(right, told):
    """`right(entry)`: how many of ten pairs about a relation are answered rightly where it was left
    out, and `told` where it was trained on."""
    return pd.DataFrame(
        [
            {
                "protocol": protocol, "label_set": "two_labels", "entities": "names",
                "method": method, "variant": method, "draw": 0, "size": 64, "when": "after",
                "test": test, "relation": name, "form": "swapped", "label": "",
                "taught": "", "n": 10, "hits": hits,
                "left_out": name if protocol == "left_out" else "",
            }
            for method in ("nearest", "head")
            for name, entry in relations().items()
            for protocol, test, hits in (
                ("left_out", "left_out", right(entry)), ("main", "same", told(entry))
            )
        ]
    )  # fmt: skip


def outcome(right, told=lambda entry: 9):
    table = table_of(right, told)
    made = judged.tests(table, 0)
    return made, judged.verdict(estimates(table, (), 0), made)[0]


def test_all_right_about_relations_left_out():
    made, found = outcome(lambda entry: 10)
    assert [test.p for test in made] == [pytest.approx(1 / 2002)] * 2
    assert [test.p_adjusted for test in made] == [pytest.approx(2 / 2002)] * 2
    assert [test.name for test in made] == [
        f"symmetry.left_out.two_labels.names.{method}.above_chance"
        for method in ("nearest", "head")
    ]
    assert found.verdict == "supported"
    assert "nearest 100.0 %" in found.reason
    assert found.control.startswith("relations trained on: nearest 90.0 %")


def test_right_by_half_about_each_of_them():
    _, found = outcome(lambda entry: 5 if len(entry.name) % 2 else 4)
    assert found.verdict == "refuted"


@pytest.mark.parametrize("left_out", [4, 10])
def test_what_learnt_nothing_where_it_was_trained_settles_nothing(left_out):
    """Half right about all relations is what a judge gets that no training has reached."""

    def half(entry):
        return 5 if len(entry.name) % 2 else left_out

    _, found = outcome(half, told=lambda entry: 5)
    assert found.verdict == "inconclusive"
    assert "the relations trained on, so that nothing follows: nearest, head." in found.reason


def test_relations_that_were_never_asked_about_are_no_control():
    table = table_of(lambda entry: 10, lambda entry: 10).query("protocol == 'left_out'")
    made = judged.tests(table, 0)
    [found] = judged.verdict(estimates(table, (), 0), made)
    assert found.verdict == "inconclusive"
    assert "nearest not asked" in found.control


def test_the_same_answer_to_all_of_them_says_little():
    """50 % in the mean over classes, from 100 % and 0 %."""
    made, found = outcome(lambda entry: 10 * (entry.symmetry == "symmetric"))
    assert [test.p for test in made] == [None, None]  # all relations are taken for entailed
    assert found.verdict == "inconclusive"


def test_answers_that_have_nothing_to_do_with_the_class():
    draw = np.random.default_rng(3)
    made, found = outcome(lambda entry: int(draw.integers(0, 11)))
    assert all(test.p_adjusted > 0.05 for test in made)
    assert found.verdict != "supported"
