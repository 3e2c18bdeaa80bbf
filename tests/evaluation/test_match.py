"""The rule of the published scoring: white space around and letter case do not count."""

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from interp_rc.evaluation.match import RULES, letters_match, prefix_match


@pytest.mark.parametrize(
    ("text", "target", "right"),
    [
        (" Ada Hill", " Ada Hill", True),
        (" Ada Hill, who", " Ada Hill", True),
        ("ada hill", " Ada Hill", True),
        ("\n Ada Hill.", " Ada Hill ", True),
        (" Ada Hillman", " Ada Hill", True),  # a prefix of letters, not of words
        (" the Ada Hill", " Ada Hill", False),
        (" Ada", " Ada Hill", False),
        (" Ada  Hill", " Ada Hill", False),
        ("", " Ada Hill", False),
    ],
)
def test_by_hand(text, target, right):
    assert prefix_match(text, target) is right


@given(st.text(), st.text(" \t\n"), st.text())
def test_whatever_begins_with_the_target_is_right(target, space, more):
    assert prefix_match(space + target + more, target)


@given(st.text("ab ", min_size=1), st.text("ab AB", min_size=1))
def test_equals_a_comparison_of_letters_one_by_one(text, target):
    said, wanted = text.lower().split(" "), target.lower().split(" ")
    while said and not said[0]:
        said.pop(0)
    while wanted and not wanted[0]:
        wanted.pop(0)
    while wanted and not wanted[-1]:
        wanted.pop()
    said, wanted = " ".join(said), " ".join(wanted)
    pairs = zip(said, wanted, strict=False)
    expected = len(said.rstrip()) >= len(wanted) and all(one == two for one, two in pairs)
    assert prefix_match(text, target) == expected


@pytest.mark.parametrize(
    ("text", "target", "right"),
    [
        (" Ada Hill.", " Ada Hill", True),
        ("AdaHill", " Ada Hill", True),  # spaces and marks do not count
        ("1. “Ada” Hill", " Ada Hill", True),
        (" ada hill", " Ada Hill", False),  # capitals do
        (" the Ada Hill", " Ada Hill", False),
        (" Ada", " Ada Hill", False),
        (" Zoë Ruß", " Zoë Ruß", True),
    ],
)
def test_only_letters_by_hand(text, target, right):
    assert letters_match(text, target) is right


@given(st.text(), st.text())
def test_only_letters_equals_a_comparison_letter_by_letter(text, target):
    said, wanted = (re.findall(r"[^\W\d_]", one) for one in (text, target))
    # Letters of a few scripts are numbers or marks to `re`; those texts say nothing here.
    assume(all(c in said or not c.isalpha() for c in text))
    assume(all(c.isalpha() for c in said + wanted))
    assume(all(c in wanted or not c.isalpha() for c in target))
    pairs = zip(said, wanted, strict=False)
    expected = len(said) >= len(wanted) and all(one == two for one, two in pairs)
    assert letters_match(text, target) == expected


def test_each_rule_forgives_what_the_other_does_not():
    assert (prefix_match("ada hill", "Ada Hill"), letters_match("ada hill", "Ada Hill")) == (1, 0)
    assert (prefix_match("Ada-Hill", "Ada Hill"), letters_match("Ada-Hill", "Ada Hill")) == (0, 1)
    assert set(RULES) == {"prefix", "letters"}
