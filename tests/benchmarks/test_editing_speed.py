"""The benchmark in small: all sides seek the same and agree; nothing is timed."""

import pytest
import torch

from benchmarks.editing_speed import SIDES, Sizes, Wanted, measured

SIZES = Sizes(vocabulary=50, requests=3, layers=4, width=32, tokens=8)


@pytest.fixture(scope="module")
def work():
    return Wanted(SIZES)


def test_all_sides_seek_the_same(work):
    plain = SIDES["loop"](work)(work)
    assert plain.shape == (3, 32)
    assert plain.abs().min() > 0
    for side in ("engine", "engine_one_by_one"):
        found = SIDES[side](work)(work)
        torch.testing.assert_close(found, plain, rtol=2e-3, atol=2e-4 * float(plain.abs().max()))


def test_rows_say_what_was_timed():
    rows = measured(SIZES, ["engine", "loop"], 1)
    assert [row["side"] for row in rows] == ["engine", "loop"]
    assert rows[0]["reference"] == "loop"
    assert rows[1]["largest_difference"] == 0
