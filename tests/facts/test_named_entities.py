"""Invented entities: no two choices spell one name, and a name is in one split for good."""

import random
from itertools import product
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp_rc.facts import named_entities
from interp_rc.facts.named_entities import Entities, Names, names_of, split_of
from interp_rc.facts.relations import EntityKind
from interp_rc.records.errors import DataError

KINDS = get_args(EntityKind)


@pytest.mark.parametrize("kind", KINDS)
def test_words_are_distinct_texts(kind):
    for words in names_of(kind).lists:
        assert len(set(words)) == len(words)
        assert all(isinstance(word, str) and word for word in words)
    # 400,000 pairs about one relation take up to 2.33 entities each, out of half of the names.
    assert names_of(kind).size / 2 > 3 * 2.34 * 400_000


@pytest.mark.parametrize("kind", KINDS)
def test_a_name_is_spelt_in_one_way(kind):
    """Every start and middle closes with its one vowel, so that a name can be read in one way."""
    vowels = set("aeiou")
    coined = [words for words in names_of(kind).lists if not any(" " in word for word in words)]
    *before, last = coined
    for word in (word for words in before for word in words):
        assert [letter.lower() in vowels for letter in word] == [False] * (len(word) - 1) + [True]
    assert all(sum(letter in vowels for letter in word) == 1 for word in last)


@given(st.sampled_from(KINDS), st.data())
def test_numbers_and_names_go_together(kind, data):
    names = names_of(kind)
    first, second = (data.draw(st.integers(0, names.size - 1)) for _ in range(2))
    assert (names.name(first) == names.name(second)) is (first == second)


def test_all_names_of_short_lists():
    names = Names((("a", "b"), ("x", "y", "z")))
    spelt = [names.name(number) for number in range(names.size)]
    assert sorted(spelt) == sorted("".join(one) for one in product("ab", "xyz"))


@pytest.mark.parametrize("form", ["names", "ids"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_entities_come_once_and_of_their_split(form, split):
    entities = Entities(random.Random(0), form, split)
    found = [entities.another(kind) for kind in KINDS for _ in range(300)]
    assert len(set(found)) == len(found)
    assert {split_of(name) for name in found} == {split}
    assert all(name[:1] == "Q" and name[1:].isdigit() for name in found) is (form == "ids")


def test_names_that_are_used_up_are_said_to_be(monkeypatch):
    few = Names((tuple("abcdefgh"), tuple("xyz")))
    monkeypatch.setattr(named_entities, "names_of", lambda kind: few)
    entities = Entities(random.Random(0), "names", "train")
    of_split = [name for name in map(few.name, range(few.size)) if split_of(name) == "train"]
    assert sorted(entities.another("place") for _ in of_split) == sorted(of_split)
    with pytest.raises(DataError, match=f"place are used up after {len(of_split)}"):
        entities.another("place")
