"""Pairs of children and parents become facts; what would be asked by mistake is refused."""

import csv
from collections import Counter
from dataclasses import replace

import pytest

from interp_rc.facts.folder import read_facts, write_facts
from interp_rc.facts.options import Parents
from interp_rc.facts.parents import our_pairs, parents
from interp_rc.facts.validate import validate
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import direction_of
from tests.conftest import published

HEAD = "child,parent,parent_type\n"


@pytest.fixture
def write(tmp_path):
    def written(content):
        path = tmp_path / "pairs.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return written


def test_a_fact_a_pair_with_the_child_as_subject(write):
    path = write(
        "note,parent_type,child,parent\n"
        'x,mother,Ada Lovelace,"Milbanke, Annabella"\n'
        ",father, Ada Lovelace ,Lord Byron\n"
        "again,father,Ada Lovelace,Lord Byron\n"
    )
    found = Parents(path=path).build(seed=5)
    told = [(f.id, f.subject, f.relation, f.object, f.group) for f in found.facts]
    assert told == [
        ("parents.0", "Ada Lovelace", "mother", "Milbanke, Annabella", "parents"),
        ("parents.1", "Ada Lovelace", "father", "Lord Byron", "parents"),
    ]
    assert found.documents == found.queries == found.templates == []
    assert direction_of("parents", "forward") is None


def test_our_own_list_has_both_parents_of_every_child_and_parents_of_several(tmp_path):
    facts = Parents().build(0).facts
    by_child = Counter(fact.subject for fact in facts)
    assert set(by_child.values()) == {2}
    assert 40 <= len(by_child) <= 60
    kinds = {child: {f.relation for f in facts if f.subject == child} for child in by_child}
    assert all(kind == {"mother", "father"} for kind in kinds.values())
    assert max(Counter(fact.object for fact in facts).values()) >= 3
    with our_pairs().open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert len({tuple(row) for row in rows}) == len(rows) == len(facts) + 1
    # Nobody is mother here and father there, nor their own parent.
    of = {kind: {f.object for f in facts if f.relation == kind} for kind in ("mother", "father")}
    assert not of["mother"] & of["father"]
    assert not any(fact.subject == fact.object for fact in facts)
    write_facts(parents(), tmp_path / "facts")
    assert read_facts(tmp_path / "facts").facts == facts


@pytest.mark.parametrize(
    ("content", "fragments"),
    [
        (HEAD + "A B,C D,mother\nA B,,father\nA B\n", (":3: no parent (2 such rows in all)",)),
        (HEAD + "A B,C D,aunt\n", (":2: parent_type 'aunt', known: mother, father; correct it",)),
        ((HEAD + "Ève,C D,mother\n").encode("latin-1"), (":2: bytes that are not UTF-8",)),
        ("child,parent\nA B,C D\n", (":1: has no column 'parent_type'", "give child, parent and")),
        (HEAD, ("holds no pair; give a row each under child, parent, parent_type",)),
    ],
)
def test_faulty_lists_are_refused_whole(write, content, fragments):
    path = write(content)
    with pytest.raises(DataError) as caught:
        parents(path)
    assert str(caught.value).startswith(str(path))
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="file not found"):
        parents(tmp_path / "none.csv")


def test_children_may_share_a_parent_and_have_two_mothers_but_no_pair_comes_twice(write):
    path = write(HEAD + "A B,C D,mother\nE F,C D,mother\nA B,G H,mother\n")
    found = parents(path)
    assert len(found.facts) == 3
    twice = [*found.facts, replace(found.facts[0], id="again")]
    with pytest.raises(DataError, match="is that of a fact in parents"):
        validate(replace(found, facts=twice))


def test_the_published_list():
    path = published("experiment2", "parent_child_pairs.csv") / "parent_child_pairs.csv"
    found = parents(path)
    assert len(found.facts) == 1511  # of 1,513 rows, two come twice
    assert len({fact.subject for fact in found.facts}) == 797
