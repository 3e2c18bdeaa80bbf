"""Models whose weights are elsewhere until they are needed give the numbers they give at home."""

import copy

import pandas as pd
import pytest
import torch
from accelerate import cpu_offload, disk_offload, dispatch_model

from interp_rc.engine.interventions import FromModel, Mean
from interp_rc.engine.sites import Site
from interp_rc.facts.tracings import Tracing
from interp_rc.models.adapters import layerwise
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.adapters.ragged import Attending
from interp_rc.models.load import Loaded, load, save
from interp_rc.models.machine import device_of, is_small
from interp_rc.tools.patching.patching import patch
from interp_rc.tools.patching.tracing import trace
from tests.engine.hooked import sites_of
from tests.engine.loop import FAMILIES, MASKED, made
from tests.engine.test_sweep_engine import pairs

COMPONENTS = ("resid_pre", "z", "attn_out", "mlp_post", "mlp_out", "resid_post")
SITES = [
    *sites_of(COMPONENTS, layers=3),
    Site("mlp_out", 1, "source", "all", window=2),
    Site("z", 2, "source", "last", head=1),
]


def offloaded(loaded, way, folder):
    model = copy.deepcopy(loaded.model)
    if way == "memory":
        cpu_offload(model, execution_device=torch.device("cpu"))
    else:
        disk_offload(model, str(folder), execution_device=torch.device("cpu"))
    assert {weight.device.type for weight in model.parameters()} == {"meta"}
    assert device_of(model) == torch.device("cpu")
    assert not is_small(model)  # threads would take weights from under each other
    return Loaded(model, loaded.tokenizer)


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_kept_in_memory(family):
    """In every family: what stands on "meta" in between is used by no tool itself."""
    loaded = made(family, torch.float32)
    contrasts = [pair.contrast for pair in pairs(family)]
    away = offloaded(loaded, "memory", None)
    sites = SITES if family in MASKED else [*SITES, Site("pattern", 1, "source", "first")]
    expected, found = (patch(one, contrasts, sites) for one in (loaded, away))
    pd.testing.assert_frame_equal(found.table, expected.table, rtol=1e-5, atol=1e-6)
    assert expected.table.effect.abs().max() > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["llama", "gpt2"])
def test_weights_kept_on_disk(taught, contrasts, shape, tmp_path):
    loaded, some = taught[shape], contrasts[:4]
    away = offloaded(loaded, "disk", tmp_path)
    sites = sites_of(COMPONENTS)
    for options in ({"metric": "kl", "into": "clean"}, {"intervention": Mean()}):
        expected, found = (patch(one, some, sites, **options) for one in (loaded, away))
        pd.testing.assert_frame_equal(found.table, expected.table, rtol=1e-5, atol=1e-6)
    beside = patch(away, some, sites, intervention=FromModel(loaded), floor=True)
    assert beside.table.effect.abs().max() < 1e-3  # it is the same model
    assert beside.floor is not None
    start, end = some[0].spans["source"][0]
    one = Tracing("t", "t", some[0].clean, some[0].clean[start:end], some[0].target, start)
    expected, found = (trace(each, [one], draws=2) for each in (loaded, away))
    pd.testing.assert_frame_equal(found.table, expected.table, rtol=1e-4, atol=1e-7)


def test_layers_that_accelerate_places(taught, contrasts):
    """Every module has accelerate's hooks; there is one device to place them on here."""
    loaded = taught["llama"]
    names = ["model.embed_tokens", "model.layers.0", "model.layers.1", "model.norm",
             "model.rotary_emb", "lm_head"]  # fmt: skip
    placed = dispatch_model(copy.deepcopy(loaded.model), dict.fromkeys(names, "cpu"),
                            force_hooks=True)  # fmt: skip
    assert hasattr(placed.model.layers[1].mlp.down_proj, "_hf_hook")
    assert Adapter(placed).layerwise.devices == [torch.device("cpu")] * 2
    sites = sites_of(COMPONENTS)
    expected = patch(loaded, contrasts[:4], sites)
    found = patch(Loaded(placed, loaded.tokenizer), contrasts[:4], sites)
    pd.testing.assert_frame_equal(found.table, expected.table, rtol=1e-5, atol=1e-6)


def test_a_model_is_spread_when_it_is_loaded(taught, contrasts, tmp_path):
    save(taught["llama"], tmp_path / "model")
    spread = load(tmp_path / "model", device="spread")
    sites = sites_of(COMPONENTS)
    expected, found = (patch(one, contrasts[:2], sites) for one in (taught["llama"], spread))
    pd.testing.assert_frame_equal(found.table, expected.table, rtol=1e-5, atol=1e-6)


def test_what_goes_to_another_device_comes_back(monkeypatch):
    """The code for several devices, on one that goes by two names."""
    family, home, other = "gemma2", torch.device("cpu"), torch.device("cpu", 0)
    assert home != other
    loaded = made(family, torch.float32)
    contrasts = [pair.contrast for pair in pairs(family)]
    sites = [*SITES, Site("pattern", 1, "source", "first")]
    expected = patch(loaded, contrasts, sites, metric="kl")
    second = loaded.model.model.layers[1]
    monkeypatch.setattr(layerwise, "device_of", lambda one: other if one is second else home)
    moved = []
    at = Attending.at
    monkeypatch.setattr(Attending, "at", lambda self, to: moved.append(to) or at(self, to))
    found = patch(loaded, contrasts, sites, metric="kl")
    assert set(moved) == {other}
    pd.testing.assert_frame_equal(found.table, expected.table)
