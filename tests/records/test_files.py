"""Whole files or none, and readers that name the place of a fault."""

import json
import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from interp_rc.records.errors import DataError
from interp_rc.records.files import (
    replacing,
    replacing_folder,
    write_json,
    write_jsonl,
    write_parquet,
    write_yaml,
)
from interp_rc.records.reading import read_text
from interp_rc.records.runs import Run
from interp_rc.records.strict_json import read_json, read_jsonl
from interp_rc.records.tables import read_parquet


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    file = tmp_path / "x.json"
    write_json(file, {"a": 1})
    with pytest.raises(TypeError, match="JSON"):
        write_json(file, {"a": object()})
    with pytest.raises(RuntimeError), replacing(file) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert read_json(file) == {"a": 1}
    assert names(tmp_path) == ["x.json"]


def test_a_failed_folder_leaves_the_old_one_and_nothing_else(tmp_path):
    folder = tmp_path / "x"
    with replacing_folder(folder) as temporary:
        (temporary / "a").write_text("old")
    with pytest.raises(RuntimeError), replacing_folder(folder) as temporary:
        (temporary / "a").write_text("new")
        raise RuntimeError
    assert (folder / "a").read_text() == "old"
    with replacing_folder(folder) as temporary:
        (temporary / "b").write_text("new")
    assert names(folder) == ["b"]
    assert names(tmp_path) == ["x"]


def test_round_trips(tmp_path):
    rows = [{"a": 1, "b": "é"}, {"a": 2, "b": "\n"}]
    write_jsonl(tmp_path / "x.jsonl", rows)
    assert [row for _, row in read_jsonl(tmp_path / "x.jsonl")] == rows
    write_parquet(tmp_path / "x.parquet", pd.DataFrame(rows))
    assert pd.read_parquet(tmp_path / "x.parquet").to_dict("records") == rows
    write_yaml(tmp_path / "x.yaml", {"b": 1, "a": [1, 2]})
    assert (tmp_path / "x.yaml").read_text() == "b: 1\na:\n- 1\n- 2\n"


def test_what_is_no_file_is_never_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/null")
    for name, words in (("pipe", "is a pipe"), ("link", "is a device"), (".", "is a folder")):
        with pytest.raises(DataError, match=words):
            write_json(tmp_path / name, {})
    assert (tmp_path / "pipe").is_fifo()
    assert (tmp_path / "link").is_symlink()


def test_a_table_is_written_under_any_name(tmp_path):
    table = pd.DataFrame({"a": [1]})
    write_parquet(tmp_path / "\udcff.parquet", table)
    assert read_parquet(tmp_path / "\udcff.parquet").equals(table)


def test_numbers_that_are_none_become_null(tmp_path):
    row = {"a": math.nan, "b": [math.inf, -math.inf, 0.5, np.float64("nan")], "c": ("x", None)}
    null = {"a": None, "b": [None, None, 0.5, None], "c": ["x", None]}
    write_json(tmp_path / "x.json", row)
    write_jsonl(tmp_path / "x.jsonl", [row])
    run = Run(tmp_path)
    run.note("event", value=math.nan)
    assert read_json(tmp_path / "x.json") == null
    assert next(read_jsonl(tmp_path / "x.jsonl"))[1] == null
    assert [event["value"] for event in run.log()] == [None]
    for file in tmp_path.iterdir():
        assert "nan" not in file.read_text().lower()


@pytest.mark.parametrize(
    ("content", "line", "told"),
    [
        (b'{"a": 1}\n{"a": \n', 2, "not JSON"),
        (b'{"a": 1}\n\n[1]\n', 3, "found a list"),
        (b'{"a": 1}\n{"a": "\xff"}\n', 2, "not UTF-8"),
    ],
)
def test_readers_name_file_and_line(tmp_path, content, line, told):
    file = tmp_path / "x.jsonl"
    file.write_bytes(content)
    with pytest.raises(DataError, match=rf"x\.jsonl:{line}: .*{told}"):
        list(read_jsonl(file))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.txt: file not found"):
        read_text(tmp_path / "gone.txt")


def test_a_byte_order_mark_is_no_text(tmp_path):
    (tmp_path / "x.jsonl").write_bytes(b"\xef\xbb\xbf" + json.dumps({"a": 1}).encode())
    assert [row for _, row in read_jsonl(tmp_path / "x.jsonl")] == [{"a": 1}]
