"""The benchmark in small: composed templates survive the published layout, train and score."""

import sys

import pandas as pd
import pytest

from benchmarks.memory_forty_thousand import LIMIT, TABLE, rows

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")


@linux
@pytest.mark.slow
def test_a_small_set_goes_all_the_way(tmp_path):
    (row,) = rows(tmp_path, None, {"per_group": 2, "training_templates": 75})
    assert (row["facts"], row["documents"], row["queries"]) == (6, 600, 120)
    assert row["steps"] == 5
    assert row["candidates_scored"] == 2 * 6 * 2 * 2  # models, facts, orders, candidates
    assert 0.05 < row["import_peak_gib"] <= row["peak_gib"] < LIMIT


def test_the_committed_table():
    table = pd.read_csv(TABLE).set_index("facts_of")
    assert table.loc["fictitious", ["facts", "documents", "queries"]].tolist() == [
        300,
        40_000,
        6_000,
    ]
    assert (table.peak_gib < LIMIT).all()
    assert (table.import_peak_gib <= table.peak_gib).all()
