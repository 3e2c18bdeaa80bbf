"""Contrasts that cannot measure what is asked of them are refused, with line and remedy."""

import json
from dataclasses import replace

import pytest

from interp_rc.facts.contrast_faults import asked_twice, check_contrasts, fault_of
from interp_rc.facts.contrasts import read_contrasts, with_target
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import Contrast, Span

CLEAN = "The award goes to Imogen Longbottle, known to all of us as"
CORRUPTED = "The award goes to Zoran Yarborough, known to all of us as"
GOOD = {"clean": CLEAN, "corrupted": CORRUPTED, "target": " the host"}
WOMAN, FAMILY, FLAG = "\U0001f469", "\U0001f469\u200d\U0001f467", "\U0001f1eb\U0001f1ee"


def written(path, *rows):
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def emoji(spans, **changed):
    texts = {"clean": f"{WOMAN} Imogen is known as", "corrupted": f"{WOMAN} Zoran is known as"}
    return GOOD | texts | {"spans": {"source": spans}} | changed


@pytest.mark.parametrize(
    ("rows", "line", "message"),
    [
        ([GOOD, GOOD], 2, "prompts and target of contrast 'line 1', .*remove one.*same \"fact\""),
        ([GOOD | {"fact": "a"}, GOOD | {"fact": "a"}], 2, "is contrast 'line 1' again; remove one"),
        ([GOOD | {"foil": " the host"}], 1, "the foil ' the host' is the target.*another foil"),
        ([GOOD | {"foil": "the host "}], 1, "the foil 'the host ' is the target"),
        ([emoji([[3, 9], [3, 8]])], 1, r"\[3, 9\] in clean.*'mogen '.*UTF-16.*'Imogen'.*\[2, 8\]"),
        ([emoji([[2, 8], [3, 8]])], 1, r"in corrupted.*UTF-16 units.*'Zoran': write \[2, 7\]"),
        ([emoji([[5, 11], [5, 10]])], 1, r"bytes of UTF-8.*'Imogen': write \[2, 8\]"),
        ([emoji([[2, 999], [2, 7]])], 1, r"\[2, 999\] in clean, which has 29 characters with"),
        ([emoji([[1, 2], [2, 7]])], 1, "where only spaces stand"),
        ([emoji([[0, 1], [0, 1]], clean=f"{FAMILY} Imogen is")], 1, "inside a character"),
    ],
)
def test_a_line_is_named_with_its_remedy(rows, line, message, tmp_path):
    path = written(tmp_path / "c.jsonl", *rows)
    with pytest.raises(DataError, match=rf"c\.jsonl:{line}: .*{message}"):
        read_contrasts(path)


def test_what_may_be_meant_is_read(tmp_path):
    rows = [
        GOOD | {"foil": " the guest", "fact": "a"},
        GOOD | {"foil": " the judge", "fact": "a"},  # another foil of the same fact
        emoji([[2, 8], [2, 7]]),
        emoji([[2, 4], [2, 4]], target=" a host"),  # part of a word
    ]
    assert len(read_contrasts(written(tmp_path / "c.jsonl", *rows))) == 4


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("e\u0301tude", [0, 1]),  # an accent of its own
        (f"{FAMILY} x", [0, 1]),
        (f"{FAMILY} x", [0, 2]),
        (f"{FLAG}{FLAG} x", [0, 1]),
        (f"{FLAG}{FLAG} x", [0, 3]),
        ("\U0001f44b\U0001f3fd x", [0, 1]),  # a hand without its tone
        ("\u2764\ufe0f x", [0, 1]),
    ],
)
def test_what_is_shown_as_one_character_is_not_split(text, span):
    contrast = Contrast("c", "c", None, text, text, " y", spans={"A": [Span(*span)] * 2})
    assert "inside a character" in str(fault_of(contrast))


def test_whole_characters_are_whole():
    for text, end in (("e\u0301tude", 2), (f"{FAMILY} x", 3), (f"{FLAG}{FLAG} x", 2)):
        contrast = Contrast("c", "c", None, text, text, " y", spans={"A": [Span(0, end)] * 2})
        assert fault_of(contrast) is None


def test_half_a_character_is_refused_from_python_too():
    contrast = Contrast("c", "c", None, "Imogen \ud83d is", "Zoran \ud83d is", " x")
    with pytest.raises(DataError, match=r"contrast 'c': 'clean' has half a character"):
        check_contrasts([contrast], foils=False)


def test_a_foil_matters_where_it_is_read():
    contrast = Contrast("c", "c", None, "a", "b", " x", foil=" x")
    check_contrasts([contrast], foils=False)
    with pytest.raises(DataError, match="is the target"):
        check_contrasts([contrast], foils=True)


def test_one_prompt_against_several_is_one_question_where_it_stands_alone():
    first = Contrast("1", "f", None, "a", "a", " x")
    assert asked_twice([first, replace(first, id="2")]) is None
    assert asked_twice([first, replace(first, id="2", fact="g")])[0].id == "2"


def test_spans_of_another_target():
    contrast = Contrast(
        "c", "c", None, "ab", "abc", " so kind",
        spans={"A": [Span(0, 1)] * 2, "B": [Span(3, 10), Span(4, 11)],
               "late": [Span(6, 10), Span(7, 11)]},
    )  # fmt: skip
    other = with_target(contrast, " big")
    assert other.spans == {"A": [Span(0, 1)] * 2, "B": [Span(3, 6), Span(4, 7)]}
