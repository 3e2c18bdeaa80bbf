"""The table of relations, and what its wordings say of where things stand."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp_rc.facts.factset import FATHER, MOTHER
from interp_rc.facts.relations import Wording, _entry, relations
from interp_rc.records.errors import DataError

ENTITY = st.text(st.characters(categories=["L", "N", "Zs"]), min_size=1).filter(
    lambda text: text == text.strip()
)
PUBLISHED = {  # Wikidata's property, and whether "X r Y" is "Y r X"
    "P3373": "symmetric", "P1382": "symmetric", "P1560": "symmetric", "P460": "symmetric",
    "P1889": "symmetric", "P40": "antisymmetric", "P25": "antisymmetric", "P22": "antisymmetric",
    "P279": "antisymmetric", "P131": "antisymmetric", "P361": "antisymmetric",
    "P2670": "antisymmetric", "P1542": "antisymmetric", "P828": "antisymmetric",
}  # fmt: skip


def test_the_table_is_that_of_the_published_benchmark():
    assert {entry.id: entry.symmetry for entry in relations().values()} == PUBLISHED


def test_wordings_are_distinct_and_some_are_kept_for_tests():
    every = [wording for entry in relations().values() for wording in entry.wordings]
    assert len({wording.text for wording in every}) == len({w.id for w in every}) == len(every)
    for entry in relations().values():
        assert Counter(wording.held_out for wording in entry.wordings) == {False: 5, True: 2}
        assert not entry.wordings[0].held_out


def test_inverses_name_each_other():
    for entry in relations().values():
        assert entry.inverse is None or relations()[entry.inverse].inverse == entry.name
        assert entry.relation.name == entry.name
    assert relations()["led_to"].relation.kind == "inverse"
    assert relations()["sibling"].relation.kind == "symmetric"


def test_relations_elsewhere_are_those_of_the_table():
    for relation in (MOTHER, FATHER):
        assert relation.name in relations()
        assert relation.inverse in relations()


@given(ENTITY, ENTITY, st.sampled_from([w for e in relations().values() for w in e.wordings]))
def test_spans_cover_what_they_name(subject, object, wording):
    sentence = wording.about(subject, object)
    assert sentence.text == wording.text.replace("{subject}", subject).replace("{object}", object)
    pieces = {
        name: [sentence.text[start:end] for start, end in spans]
        for name, spans in sentence.spans.items()
    }
    assert pieces["subject"] == [subject]
    assert pieces["object"] == [object]
    assert " ".join(pieces["relation"]) == wording.words


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"wordings": ["{object} and {subject}"]}, "once each"),
        ({"symmetry": "sideways"}, "unknown"),
        ({"of": ["person", "ghost"]}, "unknown"),
        ({"colour": "red"}, "needed are"),
    ],
)
def test_entries_that_are_not_whole_are_refused(change, said):
    whole = {"id": "P1", "symmetry": "symmetric", "of": ["person", "person"],
             "wordings": ["{subject} is {object}"], "held_out": []}  # fmt: skip
    assert _entry("x", whole).wordings == (Wording("x.training.0", "{subject} is {object}", False),)
    with pytest.raises(DataError, match=said):
        _entry("x", whole | change)
