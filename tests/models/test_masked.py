"""Masked models are loaded as such, looked into, and not asked to go on."""

import pandas as pd
import pytest
import torch

from interp_rc.engine.sites import Site
from interp_rc.models.completion import complete
from interp_rc.models.load import load, save
from interp_rc.models.scoring import score
from interp_rc.records.errors import ScoringError
from interp_rc.tools.patching.patching import patch
from tests.engine.loop import made
from tests.engine.test_sweep_engine import pairs


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_saved_loaded_and_patched(family, tmp_path):
    loaded = made(family, torch.float32)
    save(loaded, tmp_path / "model")
    again = load(tmp_path / "model")
    assert type(again.model) is type(loaded.model)
    contrasts = [pair.contrast for pair in pairs(family)]
    sites = [Site("mlp_out", layer, "source", "last") for layer in range(3)]
    expected, found = (patch(one, contrasts, sites) for one in (loaded, again))
    pd.testing.assert_frame_equal(found.table, expected.table, rtol=1e-4, atol=1e-5)
    assert found.table.effect.abs().max() > 0.01
    with pytest.raises(ScoringError, match=f"type {family} fills in masks"):
        score(*again, ["w1 w2"], [" w3"])
    with pytest.raises(ScoringError, match=f"type {family} fills in masks"):
        complete(*again, ["w1 w2"], max_new_tokens=[2])
