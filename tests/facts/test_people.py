"""Fictitious people are distinct, repeatable, and say one thing in three forms."""

from itertools import islice

import pytest

from interp_rc.facts import people as people_module
from interp_rc.facts.people import people, people_stream
from interp_rc.records.errors import DataError

MANY = 1_500


@pytest.fixture(scope="module")
def many():
    return people(7, MANY)


@pytest.mark.parametrize("form", ["name", "noun", "past", "gerund"])
def test_no_two_people_share_a_name_or_a_description_in_any_form(many, form):
    assert len({getattr(person, form) for person in many}) == MANY


def test_every_slot_of_the_grammar_is_filled(many):
    for person in many:
        for text in (person.name, person.noun, person.past, person.gerund):
            assert text == text.strip()
            assert "{" not in text
            assert "  " not in text
        assert person.noun.startswith("the ")
        assert person.name.count(" ") >= 1


def test_no_name_and_no_description_is_part_of_another(many):
    """Otherwise a span or a match of one person would be found in a text about another."""
    for form in ("name", "noun", "past", "gerund"):
        texts = [getattr(person, form) for person in many]
        joined = "\n".join(texts)
        assert [text for text in texts if joined.count(text) > 1] == []


def test_forms_are_those_of_the_person(many):
    person = many[0]
    assert person.description("noun") == person.noun
    assert person.description("past") == person.past
    assert person.description("gerund") == person.gerund


def test_same_seed_same_people_and_more_people_begin_with_the_same():
    assert people(3, 20) == people(3, 40)[:20]


def test_other_seeds_give_other_people():
    first, second = ({person.name for person in people(seed, 50)} for seed in (1, 2))
    assert len(first & second) < 5


def test_people_to_avoid_are_avoided():
    known = people(5, 30)
    avoid = {known[0].name, known[1].noun}
    found = people(5, 200, avoid=avoid)
    assert not avoid & ({person.name for person in found} | {person.noun for person in found})


def test_used_up_lists_are_an_error(monkeypatch):
    tiny = {
        "names.yaml": {"first": ["Ann", "Bob"], "last": ["Lee"]},
        "descriptions.yaml": {
            "roles": [
                {"noun": "the n {work}", "past": "p {work}", "gerund": "g {work}", "work": "w"}
            ],
            "works": {"w": ["a {size} hat"]},
            "slots": {"size": ["big", "small", "blue"]},
        },
    }
    monkeypatch.setattr(people_module, "_source", tiny.__getitem__)
    assert len(people(0, 2)) == 2
    with pytest.raises(DataError, match="3 people were asked for, and there are 2 names"):
        people(0, 3)
    with pytest.raises(DataError, match="used up after 2 people"):
        list(islice(people_stream(0), 3))
