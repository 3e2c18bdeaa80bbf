"""Named rules for names: where they agree, and where the better one differs and why."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp_rc.evaluation.name_rules import RULES, a_line, same_person, says_unknown, whole_name

SAME = [
    ("Björk Guðmundsdóttir", "Bjork Gudmundsdottir"),
    ("J. R. R. Tolkien", "John Ronald Reuel Tolkien"),
    ("Cruise, Tom", "Tom Cruise"),
    ("Mary Lee Pfeiffer", "Mary Pfeiffer"),
    ("Éva Gabor", "Eva Gabor"),
    ("Harry Connick, Jr.", "Harry Connick"),
    ("M. Pfeiffer", "Mary Pfeiffer"),
    ("mary lee pfeiffer", "Mary Lee Pfeiffer"),
    ("Tom Cruise’s mother is Mary Lee Pfeiffer.", "Mary Lee Pfeiffer"),
    ("Her parents are Jim Calle and Ann Calle", "Ann Calle"),
    ("1. Ann Calle\n2. Jim Calle", "Jim Calle"),
    ("Jean-Luc Picard", "Jean Luc Picard"),
    ("Dr. Ann Calle", "Ann Calle"),
    ("Madonna", "Madonna"),
]
OTHERS = [
    ("Mary Lee South", "Mary Lee Pfeiffer"),
    ("Sam Smith", "Samuel Smith"),
    ("Samira Calle", "Sam Calle"),
    ("I don't know", "Mary Lee Pfeiffer"),
    ("The mother of Tom Cruise is Mary Lee Mapother", "Mary Lee Pfeiffer"),
    ("Mary Jane Watson", "Mary Ann Watson"),
    ("Tom", "Tom Cruise"),
    ("", "Tom Cruise"),
]


@pytest.mark.parametrize(("response", "name"), SAME)
def test_the_same_person(response, name):
    assert same_person(response, name)


@pytest.mark.parametrize(("response", "name"), OTHERS)
def test_another_person(response, name):
    assert not any(rule(response, name) for rule in RULES.values())


def test_the_published_rules_are_strict():
    assert whole_name("Mary Lee Pfeiffer.", "Mary Lee Pfeiffer")
    assert not whole_name("mary lee pfeiffer", "mary lee pfeiffer")  # no capitals
    assert not whole_name("It is Mary Lee Pfeiffer", "Mary Lee Pfeiffer")
    assert not whole_name("Madonna", "Madonna")  # one word
    assert a_line("Sure:\n Mary Lee Pfeiffer \n", "Mary Lee Pfeiffer")
    assert not a_line("Sure: Mary Lee Pfeiffer", "Mary Lee Pfeiffer")


@given(st.lists(st.from_regex(r"[A-Z][a-z]{2,9}", fullmatch=True), min_size=2, max_size=4))
def test_what_is_said_word_for_word_is_right_by_every_rule(words):
    name = " ".join(words)
    assert all(rule(name, name) for rule in RULES.values())


@pytest.mark.parametrize(
    ("response", "unknown"),
    [
        ("I don’t know.", True),
        ("I do not know who that is", True),
        ("This is not publicly known.", True),
        ("Unknown", True),
        ("Mary Lee Pfeiffer", False),
        ("Nora Knowles", False),
    ],
)
def test_not_knowing(response, unknown):
    assert says_unknown(response) == unknown
