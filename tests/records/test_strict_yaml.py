"""YAML within bounds: nothing in a text can make its reader fail or hang."""

import contextlib
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp_rc.records.strict_yaml import (
    MOST_DEEP,
    MOST_NODES,
    NotYaml,
    compose_yaml,
    parse_yaml,
    read_yaml,
    yaml_text,
)

ONES = "[" + ", ".join(["x"] * 9) + "]"
LAUGHS = f"a: &a {ONES}\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGED = "a: &a {x: 1}\n" + "".join(
    f"{name}: &{name}\n  <<: [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
CHAIN = "a0: &a0 [x]\n" + "".join(f"a{i + 1}: &a{i + 1} [*a{i}]\n" for i in range(3_000))

REFUSED = {
    "!!int x": "'x' is no int",
    "a:\n  b: !!int ''": "2: .*'' is no int",
    "!!float x": "'x' is no float",
    "!!bool maybe": "'maybe' is no bool",
    "!!int [1]": "expected a scalar",
    "!!seq {}": "expected a sequence",
    "!!map []": "expected a mapping",
    "!!timestamp 2024-99-99": "constructor for the tag",
    "!!binary é": "constructor for the tag",
    "!!set {a}": "constructor for the tag",
    "!!omap [a: 1]": "constructor for the tag",
    "!!python/object/apply:os.getcwd []": "constructor for the tag",
    "!nothing x": "constructor for the tag",
    "9" * 5_000: "more than 100 digits",
    "0x" + "f" * 5_000: "more than 100 digits",
    "1:" * 5_000 + "1": "more than 100 digits",
    "1" + "0" * 30: "more than 64 bits",
    ".inf": "not finite",
    "-.INF": "not finite",
    ".nan": "not finite",
    "1e999": "not finite",
    'a: 1\nb: "\\U00110000"': "2: .*not in range",
    '"\\UFFFFFFFF"': "too large",
    "%YAML 1." + "9" * 5_000 + "\n---\na: 1": "cannot be read",
    "{[a]: 1}": "list or mapping is no text",
    "? {a: 1}\n: 2": "list or mapping is no text",
    "on: 1": "`on` is no text; quote it",
    "1: 1": "`1` is no text; quote it",
    "null: 1": "`null` is no text",
    "a: 1\nb: 2\na: 3": "3: .*`a` stands twice .first in line 1.; delete one",
    "{a: 1, a: 2}": "`a` stands twice",
    "a: &a [*a]": "a part holds itself",
    "&a {b: {c: *a}}": "a part holds itself",
    "&a [*a, *a]": "a part holds itself",
    "[" * 100_000: "nested more than 64 deep",
    "{a: " * 100_000: "nested more than 64 deep",
    "- " * 100_000: "nested more than 64 deep",
    LAUGHS: "aliases as often as they stand",
    MERGED: "aliases as often as they stand",
    CHAIN: "aliases as often as they stand",
    "a: *b": "undefined alias",
    "a: 1\n---\nb: 1": "another document",
    "a\n\0b": "2: .*U.0000 is not allowed",
    "a: \x1b": "U.001B is not allowed",
    "a\tb: 1\n\tc: 2": "found character",
    r'"\ud83d"': "half of a surrogate pair",
    "\ufdd0\ud800": "not allowed",
    "a: [1, 2": "expected ',' or ']'",
    "%YAML 9.9\n---\na": "found incompatible YAML document",
    "<<: 1": "expected a mapping or list of mappings for merging",
    "<<: [[1]]": "expected a mapping for merging",
    "a: @": "cannot start any token",
    "a: 'x": "unexpected end of stream",
}


@pytest.mark.parametrize(("text", "words"), REFUSED.items(), ids=range(len(REFUSED)))
def test_what_is_refused_at_once(text, words):
    before = time.process_time()
    with pytest.raises(NotYaml) as caught:
        parse_yaml(text, "x.yaml")
    assert time.process_time() - before < 3
    assert re.search(words, str(caught.value), re.DOTALL), caught.value
    assert str(caught.value).startswith("x.yaml:")
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("2024-99-99", "2024-99-99"),
        ("2024-01-01", "2024-01-01"),
        ("=", "="),
        ("1e-5", 1e-5),
        ("1.0e-5", 1e-5),
        ("-1E+3", -1e3),
        ("[1, 0x1f, true, null, .5, 'x']", [1, 31, True, None, 0.5, "x"]),
        ("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}", {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}}),
        ("a: &a [1]\nb: *a", {"a": [1], "b": [1]}),
        ("'on': 1", {"on": 1}),
        (r'"\U0001f469"', "\U0001f469"),
        ("9223372036854775807", 2**63 - 1),
    ],
)
def test_what_is_read(text, value):
    assert parse_yaml(text) == value


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",))),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=("Cs",))), inner),  # noqa: E501
    max_leaves=20,
)  # fmt: skip


@pytest.mark.parametrize("text", ["1e5", "-2E+3", "2024-01-01", "=", "on", "1:30", "1_0", "~"])
def test_a_text_that_looks_like_another_type_stays_one(text):
    assert parse_yaml(yaml_text({text: [text]})) == {text: [text]}


@given(values)
def test_what_we_write_is_read_back(value):
    assert parse_yaml(yaml_text(value)) == value


@given(st.text())
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(NotYaml):
        assert not isinstance(parse_yaml(text), bytes | set | tuple)


def test_bounds_are_those_that_are_named():
    assert parse_yaml("[" * (MOST_DEEP - 1) + "x" + "]" * (MOST_DEEP - 1))
    with pytest.raises(NotYaml, match=r"deep|levels"):
        parse_yaml("[" * MOST_DEEP + "x" + "]" * MOST_DEEP)
    assert len(parse_yaml("[" + "a," * 1000 + "]")) == 1000
    shared = "a: &a [" + "1," * 999 + "]\nb: [" + "*a," * (MOST_NODES // 1000 - 2) + "]"
    assert parse_yaml(shared)["b"][7] == [1] * 999
    with pytest.raises(NotYaml, match="aliases"):
        parse_yaml(shared[:-1] + "*a, *a, *a]")


def test_nodes_know_their_lines():
    node = compose_yaml("a: 1\nb: [2]\n")
    assert [key.start_mark.line for key, _ in node.value] == [0, 1]
    assert compose_yaml("") is None


def test_a_file_is_bounded(tmp_path, monkeypatch):
    path = tmp_path / "x.yaml"
    path.write_text("a: b")
    assert read_yaml(path) == {"a": "b"}
    monkeypatch.setattr("interp_rc.records.strict_yaml.MOST_BYTES", 3)
    with pytest.raises(Exception, match="more than 3 bytes"):
        read_yaml(path)
