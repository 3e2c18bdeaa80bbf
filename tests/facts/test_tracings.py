"""Prompts with a subject to be noised: it is found, or the line says why it is not."""

import json

import pytest

from interp_rc.facts.tracings import Tracing, read_tracings
from interp_rc.records.errors import DataError

LINE = {"prompt": "The Space Needle is in", "subject": "Space Needle", "target": " Seattle"}


def write(tmp_path, *lines):
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return path


def test_a_subject_is_found(tmp_path):
    first, second = read_tracings(str(write(tmp_path, LINE, LINE | {"id": "s", "fact": "f"})))
    assert (first.id, first.fact, first.order, first.start) == ("line 1", "line 1", None, 4)
    assert (second.id, second.fact, second.named) == ("s", "f", "tracing 's' (line 2)")
    contrast = second.contrast
    assert contrast.clean == contrast.corrupted == LINE["prompt"]
    text = contrast.clean + contrast.target
    for name, expected in (("A", "Space Needle"), ("source", "Space Needle"), ("B", "Seattle")):
        assert [text[a:b] for a, b in contrast.spans[name]] == [expected] * 2
    assert contrast.named == "contrast 's' (line 2)"


def test_a_start_settles_which_one_is_meant(tmp_path):
    twice = {"prompt": "Ann is Ann and", "subject": "Ann", "target": " so"}
    for start in (0, 7):
        [one] = read_tracings(write(tmp_path, twice | {"start": start}))
        assert one.contrast.spans["A"] == [(start, start + 3)] * 2


def test_subjects_that_overlap_count_twice():
    with pytest.raises(DataError, match="stands 2 times in the prompt, at characters 0, 2"):
        Tracing("t", "t", "anana is", "ana", " x")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"subject": "Needles"}, "the subject 'Needles' is not in the prompt 'The Space"),
        ({"subject": "e"}, "stands 5 times in the prompt, at characters 2, 8, 11, 12, 15;"),
        ({"start": 5}, "does not begin at character 5 of the prompt, but at 4; correct"),
        ({"start": "4"}, "'start' must be a whole number; found '4'"),
        ({"start": True}, "'start' must be a whole number"),
        ({"target": " "}, "'target' must be a text that is not empty"),
        ({"clean": "x"}, "key 'clean' is unknown"),
        ({"id": "line 1"}, "its id comes twice"),
    ],
)
def test_a_faulty_line_is_named(tmp_path, change, message):
    with pytest.raises(DataError, match=rf"t\.jsonl:2: .*{message}"):
        read_tracings(write(tmp_path, LINE, LINE | change))


def test_an_empty_file(tmp_path):
    with pytest.raises(DataError, match=r"t\.jsonl: holds no tracings"):
        read_tracings(write(tmp_path))
