"""The long table of estimates: by axes and by name, and no two of the same."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp_rc.records.errors import RunError
from interp_rc.records.estimates import Estimates, MissingNumber, estimates_table, row_from
from interp_rc.records.numbers import Estimate


def one(value=1.0):
    return Estimate(value, 0.5, 1.5, 8, "nat")


@pytest.fixture
def found():
    table = Estimates("probe")
    for layer in range(3):
        table.add(one(layer), model="base", layer=layer, quantity="accuracy")
    table.add(one(7.0), model="base", quantity="accuracy")
    table.add(one(8.0), model="finetuned", order=None, quantity="accuracy")
    return table


def test_each_is_found_by_what_it_is_of_and_by_its_name(found):
    assert found.of(model="base", layer=2, quantity="accuracy") == one(2.0)
    assert found["probe.base.layer_2.accuracy"] == one(2.0)
    assert found.of(model="base", quantity="accuracy") == one(7.0)
    assert found.along("layer", model="base", quantity="accuracy") == {n: one(n) for n in range(3)}
    assert found.each("model") == ["base", "finetuned"]
    assert len(found.where(model="base")) == 4
    assert found.find(model="untrained", quantity="accuracy") is None
    assert "probe.finetuned.accuracy" in found


def test_what_is_not_there_is_named(found):
    with pytest.raises(MissingNumber, match=r"^probe\.base\.layer_3\.accuracy$"):
        found.of(model="base", layer=3, quantity="accuracy")
    with pytest.raises(MissingNumber, match=r"probe\.finetuned\.accuracy by layer"):
        found.along("layer", model="finetuned", quantity="accuracy")


def test_no_name_is_given_twice_nor_malformed_nor_of_an_unknown_axis(found):
    with pytest.raises(RunError, match="given twice"):
        found.add(one(), model="base", quantity="accuracy")
    with pytest.raises(RunError, match="given twice"):
        found | found
    with pytest.raises(RunError, match=r"of the same as 'probe\.base\.accuracy'"):
        found.add(one(), quantity="accuracy", model="base")
    for word in ("Base", "a..b", "a b", ".a", "a-b", ""):
        with pytest.raises(RunError, match="lower-case words"):
            found.add(one(), model=word, quantity="accuracy")
    for look in (partial(found.add, one()), found.find, found.where, partial(found.along, "layer")):
        with pytest.raises(RunError, match="no axis 'colour'"):
            look(colour="red")


def test_an_axis_without_a_value_is_none(found):
    assert found.find(model="base", layer=None, quantity="accuracy") == one(7.0)


WORDS = st.text("abcdefgh_", min_size=1, max_size=6)


@given(
    st.lists(
        st.tuples(WORDS, st.integers(0, 3), WORDS, st.floats(-9, 9)),
        unique_by=lambda row: row[:3],
        max_size=8,
    )
)
def test_a_table_comes_back_from_its_lines(rows):
    found = Estimates("x")
    for model, layer, quantity, value in rows:
        found.add(one(value), model=model, layer=layer, quantity=quantity)
    again = Estimates(rows=[row_from(row.as_dict()) for row in found.rows])
    assert again == found
    assert again.rows == found.rows
    for model, layer, quantity, value in rows:
        assert again.of(model=model, layer=layer, quantity=quantity).value == value
    table = estimates_table({"m": found})
    assert len(table) == len(rows)
    assert list(table.value) == [row[3] for row in rows]
    assert set(table.measure) <= {"m"}
