"""The benchmark in small: all sides restore the same and agree; nothing is timed."""

import pandas as pd
import pytest
import torch

from benchmarks import tracing_speed
from benchmarks.side_by_side import write_table
from benchmarks.tracing_speed import SIDES, SUBJECT, Traced, draw_noise, measured, restored
from benchmarks.work import Setting

SETTING = Setting(vocabulary=50, pairs=2, layers=3, width=32, tokens=7)


@pytest.fixture(scope="module", autouse=True)
def window():
    """Of ten layers, as published, every layer of a small model would be restored everywhere."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tracing_speed, "WINDOW", 2)
        yield


@pytest.fixture(scope="module")
def work():
    return Traced(SETTING)


@pytest.fixture(scope="module")
def plain(work):
    return SIDES["loop"](work)(work)


@pytest.mark.parametrize("side", [side for side in SIDES if side != "loop"])
def test_a_side_agrees_with_the_plain_loop(work, plain, side):
    found = SIDES[side](work)(work)
    assert found.shape == plain.shape == (3, 3, 7, 2)
    torch.testing.assert_close(found, plain, atol=3e-6, rtol=0)


@torch.no_grad()
def test_the_ends_are_known(work, plain):
    """By passes over embeddings made by hand: what nothing restores, and what everything does."""
    model = work.loaded.model
    clean = model.get_input_embeddings()(work.clean)
    for prompt in range(SETTING.pairs):
        noisy = clean[prompt].repeat(len(work.noise[prompt]), 1, 1)
        noisy[:, SUBJECT] += work.noise[prompt]
        low = work.value(model(inputs_embeds=noisy).logits[:, -1], prompt)
        high = work.value(model(inputs_embeds=clean[prompt : prompt + 1]).logits[:, -1], prompt)
        assert abs(low - high) > 1e-4
        found = plain[..., prompt]
        before = found[:, :, : SUBJECT.start]  # no noise has reached these tokens
        torch.testing.assert_close(before, low.expand_as(before), atol=3e-6, rtol=0)
        torch.testing.assert_close(found[0, -1, -1], high, atol=3e-6, rtol=0)
        assert (found[0, :-1, SUBJECT] - low).abs().min() > 1e-6


def test_windows_reach_over_layers(monkeypatch):
    """Around the layer as in the published code; the stream is restored at one layer."""
    monkeypatch.setattr(tracing_speed, "WINDOW", 10)
    assert restored("mlp_out", 10, 48) == range(5, 15)
    assert restored("attn_out", 2, 48) == range(7)
    assert restored("attn_out", 46, 48) == range(41, 48)
    assert restored("resid_post", 10, 48) == range(10, 11)
    wide = SIDES["loop"](work := Traced(SETTING))(work)
    monkeypatch.setattr(tracing_speed, "WINDOW", 1)
    narrow = SIDES["loop"](work)(work)
    assert torch.equal(wide[0], narrow[0])
    assert (wide[1:, :, SUBJECT] - narrow[1:, :, SUBJECT]).abs().max() > 1e-4


def test_noise_is_three_deviations_of_the_embeddings():
    embeddings = torch.randn(500, 64, generator=torch.Generator().manual_seed(0)) * 0.7
    first, again = (draw_noise(embeddings, 30, torch.Generator().manual_seed(2)) for _ in range(2))
    assert torch.equal(first, again)
    assert first.shape == (10, 30, 64)
    assert first.std().item() == pytest.approx(2.1, rel=0.02)


def test_the_table(tmp_path):
    out = tmp_path / "tracing.csv"
    write_table(out, measured(Setting(50, 1, 2, 32, 6), list(SIDES), repeats=1))
    table = pd.read_csv(out)
    assert table.side.tolist() == list(SIDES)
    assert (table.reference == "loop").all()
    assert (table.largest_difference < 3e-6).all()
