"""Tables are read row by row, and refused where they are none."""

import os

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from interp_rc.records.errors import DataError
from interp_rc.records.tables import MOST_COLUMNS, read_csv_rows, read_parquet


def test_rows_begin_where_they_say(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes('﻿a,b\n\n"1\n2",3\r\né,\xff\n'.encode().replace(b"\xc3\xbf", b"\xff"))
    assert list(read_csv_rows(path)) == [
        (1, ["a", "b"]),
        (3, ["1\n2", "3"]),
        (5, ["é", "\udcff"]),
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'a,b\n"1,2\n', r"x\.csv:2: is not CSV .*mend the quotes"),
        (b"a\n" + b"x" * 200_000, r"x\.csv:2: is not CSV .*field larger"),
        (b"," * MOST_COLUMNS, r"x\.csv:1: has 1,001 columns"),
    ],
)
def test_what_is_no_csv(tmp_path, content, words):
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(DataError, match=words):
        list(read_csv_rows(tmp_path / "x.csv"))


def test_parquet_comes_back_with_its_metadata(tmp_path):
    table = pd.DataFrame({"a": [1, 2], "b": ["x", None]})
    table.attrs = {"k": [1]}
    table.to_parquet(tmp_path / "x.parquet")
    read = read_parquet(tmp_path / "x.parquet")
    pd.testing.assert_frame_equal(read, pd.read_parquet(tmp_path / "x.parquet"))
    assert read.attrs == {"k": [1]}


def test_what_is_no_parquet(tmp_path):
    whole = tmp_path / "whole.parquet"
    pd.DataFrame({"a": np.arange(100), "b": ["x"] * 100}).to_parquet(whole)
    raw = whole.read_bytes()
    path = tmp_path / "x.parquet"
    for content in (b"", b"PAR1", b"PAR1PAR1", raw[:-20], raw[:200] + raw[400:], b"\0" * 1000):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"x\.parquet: is no parquet table"):
            read_parquet(path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="is a pipe"):
        read_parquet(tmp_path / "pipe")


def test_a_small_file_cannot_unfold_to_all_memory(tmp_path):
    path = tmp_path / "x.parquet"
    column = pa.nulls(2**20)
    with parquet.ParquetWriter(path, pa.schema([("a", pa.null())])) as out:
        for _ in range(260):
            out.write_table(pa.table({"a": column}))
    assert path.stat().st_size < 2**20
    with pytest.raises(DataError, match="272,629,760 cells, and 268,435,456 are the most"):
        read_parquet(path)
