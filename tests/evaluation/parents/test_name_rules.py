"""Named rules for names: where they agree, and where the better one differs and why."""

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp_rc.evaluation.parents.name_rules import (
    RULES,
    has_form_of_name,
    line_begins,
    name_line_begins,
    same_person,
    says_unknown,
    share_of_lines,
    without_asked,
)
from tests.conftest import published

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
    ("Lord Byron", "Lord Byron"),
    ("It was Queen Victoria.", "Queen Victoria"),
    ("King George VI", "George VI"),
    ("George VI of the United Kingdom", "George VI"),
    ("henry viii", "Henry VIII"),
    ("Elizabeth II", "Queen Elizabeth II"),
    ("Mary Ann Todd Lincoln", "Mary Todd Lincoln"),
    ("J. R. Tolkien", "John Ronald Reuel Tolkien"),
    ("George Bush", "George H. W. Bush"),
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
    ("Elizabeth I", "Elizabeth II"),
    ("George V", "George VI"),
    ("George Washington", "George VI"),
    ("Queen Elizabeth", "Queen Victoria"),
    ("Victoria Beckham", "Queen Victoria"),
    ("Lord Nelson", "Lord Byron"),
    ("Lady Byron", "Lord Byron"),
    ("George H. W. Bush", "George W. Bush"),
    ("George W. Bush", "George H. W. Bush"),
    ("Carl Ann Ben Roe", "Carl Ben Ann Roe"),
    ("Princess Victoria", "Queen Victoria"),
    ("Victoria", "Queen Victoria"),
    ("Elizabeth I", "Queen Elizabeth II"),
]


@pytest.mark.parametrize(("response", "name"), SAME)
def test_the_same_person(response, name):
    assert same_person(response, name)


@pytest.mark.parametrize(("response", "name"), OTHERS)
def test_another_person(response, name):
    assert not any(rule(response, name) for rule in RULES.values())


@pytest.mark.parametrize(
    ("response", "asked", "name", "right"),
    [
        ("The father of John Quincy Adams is Samuel Roe.", "John Quincy Adams", "John Adams", 0),
        ("The father of JOHN QUINCY ADAMS is John Adams.", "John Quincy Adams", "John Adams", 1),
        ("A child of John Adams is Thomas Adams", "John Adams", "John Quincy Adams", 0),
        ("A child of John Adams is John Quincy Adams", "John Adams", "John Quincy Adams", 1),
        ("Hans Albert Einstein's father is Jo Roe", "Hans Albert Einstein", "Albert Einstein", 0),
        (
            "Albert Einstein's son: Hans Albert Einstein",
            "Albert Einstein",
            "Hans Albert Einstein",
            1,
        ),
        ("Ann Calle Smith", "Ann Calle Smith", "Ann Smith", 0),  # the question's name alone
        ("Annabel Roe", "Ann", "Annabel Roe", 1),
        ("Annabel Roe", "Ann", "Bel Roe", 0),
        ("Joanna Roe", "Anna Roe", "Joanna Roe", 1),
    ],
)
def test_who_repeats_the_question_has_not_answered_it(response, asked, name, right):
    assert same_person(without_asked(response, asked, name), name) == bool(right)


@pytest.mark.parametrize(
    ("response", "name", "form", "begins"),
    [
        ("Mary Lee Pfeiffer.", "Mary Lee Pfeiffer", True, True),
        ("Mary Lee Pfeiffer South", "Mary Lee Pfeiffer", True, True),  # whoever that is
        ("mary lee pfeiffer", "mary lee pfeiffer", False, True),  # no capitals
        ("Mary Lee Pfeiffer", "mary lee pfeiffer", False, False),
        ("It is Mary Lee Pfeiffer", "Mary Lee Pfeiffer", False, False),
        ("Mary Lee Pfeiffer is her name", "Mary Lee Pfeiffer", False, True),
        ("Madonna", "Madonna", False, True),  # one word
        ("Sure:\n Mary Lee Pfeiffer \n", "Mary Lee Pfeiffer", True, True),
        ("Sure: Mary Lee Pfeiffer", "Mary Lee Pfeiffer", False, False),
        ("A B C D E F", "A B", False, True),  # six words
        ("", "A B", False, False),
    ],
)
def test_the_published_rules(response, name, form, begins):
    assert name_line_begins(response, name) == form
    assert line_begins(response, name) == begins


@pytest.mark.parametrize(
    ("line", "form"),
    [
        ("I Donald Trump", True),  # the case counts
        ("I don't know.", False),
        ("Éva Gabor", True),
        ("Ludwig van Beethoven", False),
        ("Cher", False),
    ],
)
def test_the_form_of_a_name(line, form):
    assert has_form_of_name(line) == form


def test_lines_are_counted_not_responses():
    responses = ["Ann Calle\nBob Calle\n\nCid Calle", "Ann Calle", "I don't know."]
    assert share_of_lines(responses, "Ann Calle") == 2 / 5
    assert share_of_lines(["", " \n"], "Ann Calle") is None


def test_the_released_predictions_follow_the_rule():
    """The responses by which GPT-4 named the child are released; the others are not."""
    name = "parent_child_pairs.csv"
    with (published("experiment2", name) / name).open(encoding="utf-8") as file:
        found = [row for row in csv.DictReader(file) if row["child_prediction"]]
    assert len(found) == 495
    assert all(name_line_begins(row["child_prediction"], row["child"]) for row in found)
    assert sum(row["child_prediction"] != row["child"] for row in found) == 11


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
