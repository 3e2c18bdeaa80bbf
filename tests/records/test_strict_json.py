"""JSON that others could read too, and that a table can hold."""

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp_rc.records.errors import DataError
from interp_rc.records.strict_json import MOST_DEEP, parse_json, read_json, read_jsonl

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(values, st.booleans())
def test_what_json_can_say_is_read(value, ascii_only):
    assert parse_json(json.dumps(value, ensure_ascii=ascii_only)) == value


REFUSED = {
    "[" * 100_000: "nested",
    '{"a":' * 100_000 + "1" + "}" * 100_000: "nested",
    "[" * (MOST_DEEP + 1) + "]" * (MOST_DEEP + 1): "nested",
    "9" * 5_000: "more than 64 bits",
    "9" * 20: "more than 64 bits",
    "-9223372036854775809": "more than 64 bits",
    "1e999": "too long or too large",
    "1." + "0" * 1_000: "too long or too large",
    "NaN": "NaN is no JSON number; write null",
    "[-Infinity]": "-Infinity is no JSON number",
    '{"a": 1, "b": 2, "a": 3}': "key 'a' stands twice",
    r'"\ud83d"': "half of a surrogate pair",
    r'{"a\udc00": 1}': "half of a surrogate pair",
    r'["\udc00\ud800"]': "half of a surrogate pair",
    '"a\tb"': "not JSON",
    '"\0"': "not JSON",
    "": "not JSON",
    "[1,]": "not JSON",
    "{1: 2}": "not JSON",
    "1 2": "not JSON",
}


@pytest.mark.parametrize(("text", "words"), REFUSED.items(), ids=range(len(REFUSED)))
def test_what_is_refused(text, words):
    with pytest.raises(DataError, match=words) as caught:
        parse_json(text, file="x.json", line=7)
    assert str(caught.value).startswith("x.json:7: not JSON")
    assert len(str(caught.value)) < 200


def test_the_same_near_the_end_of_the_stack():
    def deeper(levels):
        return deeper(levels - 1) if levels else parse_json("[" * 60 + "]" * 60)

    with pytest.raises((DataError, RecursionError)):
        deeper(sys.getrecursionlimit())


def test_as_deep_as_allowed_and_whole_pairs():
    assert parse_json("[" * MOST_DEEP + "]" * MOST_DEEP)
    assert parse_json(r'"\ud83d\udc69"') == "\U0001f469"
    assert parse_json("-9223372036854775808") == -(2**63)


def test_files_name_their_lines(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1}\n\n{"a": NaN}\n')
    rows = read_jsonl(path)
    assert next(rows) == (1, {"a": 1})
    with pytest.raises(DataError, match=r"x\.jsonl:3: not JSON that .*one JSON object"):
        next(rows)
    path.write_text('{"a": 1,\n "b"}')
    with pytest.raises(DataError, match=r"x\.jsonl:2: not JSON"):
        read_json(path)
