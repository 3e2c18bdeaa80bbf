"""The benchmark in small: all sides patch the same and agree; nothing is timed."""

import pandas as pd
import pytest
import torch

from benchmarks.patching_sides import SIDES
from benchmarks.patching_speed import growing, make
from benchmarks.side_by_side import prepared
from benchmarks.work import SAME, Setting, Work

SETTING = Setting(vocabulary=50, pairs=2, layers=2, width=32, tokens=7)


@pytest.fixture(scope="module")
def work():
    return Work(SETTING)


@pytest.fixture(scope="module")
def plain(work):
    return SIDES["loop"](work)(work)


@pytest.mark.parametrize(
    ("side", "package"),
    [
        ("engine", "torch"),
        ("batched_loop", "torch"),
        ("transformer_lens", "transformer_lens"),
        ("nnsight", "nnsight"),
    ],
)
def test_a_side_agrees_with_the_plain_loop(work, plain, side, package):
    pytest.importorskip(package)
    found = SIDES[side](work)(work)
    assert found.shape == plain.shape == (3, 2, 7, 2)
    torch.testing.assert_close(found, plain, atol=3e-6, rtol=0)


def test_patches_change_something_where_the_prompts_differ(work, plain):
    """Else sides would agree that did nothing at all."""
    unpatched = work.metric(work.loaded.model(work.corrupted).logits)
    effects = (plain - unpatched).abs().amax(-1)
    assert (effects[:, :, :SAME] == 0).all()
    assert (effects[:, :, -1] > 1e-3).all()
    assert (effects[:, 0, SAME:] > 1e-5).all()


def test_the_table(tmp_path):
    out = tmp_path / "speed.csv"
    settings = [SETTING, Setting(50, 2, 3, 32, 7)]
    make(settings, ["batched_loop"], repeats=1, out=out)
    table = pd.read_csv(out)
    assert table.side.tolist() == ["engine", "batched_loop"] * 2
    assert table.layers.tolist() == [2, 2, 3, 3]
    assert (table.reference == "batched_loop").all()
    assert (table.largest_difference < 3e-6).all()
    assert out.with_suffix(".environment.json").exists()


def test_growth_varies_one_size_at_a_time():
    settings = growing(1000, 16, 256)
    assert [(one.layers, one.tokens) for one in settings] == [
        (4, 20), (8, 20), (16, 20), (32, 20), (8, 10), (8, 40), (8, 80),
    ]  # fmt: skip


def test_a_side_whose_package_is_missing_is_skipped_aloud(work, capsys):
    def absent(_):
        raise ModuleNotFoundError("No module named 'nowhere'")

    assert list(prepared({"here": SIDES["loop"], "there": absent}, ["here", "there"], work)) == [
        "here"
    ]
    assert "there is skipped: No module named 'nowhere'" in capsys.readouterr().err
