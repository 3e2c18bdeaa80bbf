"""The front door: patches of every kind, alone or together, and the way from a tool to it."""

import traceback

import pandas as pd
import pytest
import torch

from interp_rc.engine.interventions import (
    FromModel,
    FromPrompt,
    FromSender,
    Hidden,
    Mean,
    Patch,
    Zero,
)
from interp_rc.engine.run_patches import run_patches
from interp_rc.engine.sites import Site
from interp_rc.models.adapters.layerwise import Layerwise
from interp_rc.records.errors import ConfigError
from interp_rc.tools.patching.knockout import knockout
from interp_rc.tools.patching.patching import noise_floors, patch
from interp_rc.tools.patching.path import path_patch
from tests.engine.loop_pairs import pairs

SITES = [
    Site("resid_pre", 1, "source", "all"),
    Site("mlp_out", 1, "source", "all", window=2),
    Site("z", 0, "source", "last", head=1),
]
END = Site("resid_post", 2, "prompt", "last")
VALUES = [FromPrompt(), Zero(), Mean(), FromPrompt()]


def contrasts_of(family):
    return [pair.contrast for pair in pairs(family)]


def assert_rows_are(effects, expected):
    """Every row of `expected`, in its order, among the effects' columns."""
    table = effects.table[expected.columns].reset_index(drop=True)
    pd.testing.assert_frame_equal(table, expected, rtol=1e-12, atol=1e-12, check_dtype=False)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt_neox"])
@pytest.mark.parametrize("memory", [None, 1])
def test_patches_of_unlike_values_are_what_each_is_alone(plain_models, family, memory):
    model, some = plain_models(family), contrasts_of(family)
    hidden = Hidden("source.all", Site("pattern", 0, "source", "all"))
    patches = [Patch(site, value) for value in VALUES for site in SITES]
    patches += [Patch(END, FromSender(SITES[2])), Patch(Site("pattern", 1, "prompt"), hidden)]
    together = run_patches(model, some, patches, memory=memory)
    alone = [patch(model, some, SITES, intervention=value).table for value in VALUES]
    alone.append(path_patch(model, some, [SITES[2]], [END]).table)
    out = knockout(model, some, "prompt.last", "source.all", layers=[1], into="corrupted")
    alone.append(out.table)
    expected = pd.concat(alone)
    order = {contrast.id: number for number, contrast in enumerate(some)}
    expected = expected.sort_values("pair", key=lambda ids: ids.map(order), kind="stable")
    columns = ["pair", "site", "layer", "position", "value", "effect", "structural_zero"]
    assert_rows_are(together, expected[columns].reset_index(drop=True))
    assert together.table.effect.abs().max() > 0.1
    assert together.table.sender.dropna().unique().tolist() == [SITES[2].name]
    assert together.table["keys"].dropna().unique().tolist() == ["source.all"]


def test_what_does_not_go_together_is_refused(plain_models):
    model, some = plain_models("llama"), contrasts_of("llama")
    for other in (Zero(), FromModel(plain_models("llama", 2))):
        patches = [
            Patch(SITES[0], FromModel(plain_models("llama", 1))),
            Patch(SITES[1], other),
        ]
        with pytest.raises(ConfigError, match="one after the other"):
            run_patches(model, some, patches)
    module = Site("model.layers.0.mlp", None, "source")
    with pytest.raises(ConfigError, match="together with modules"):
        run_patches(model, some, [Patch(module, Zero()), Patch(END, FromSender(SITES[2]))])


def test_noise_is_a_mean_over_draws_of_the_clean_prompt(plain_models):
    model, some = plain_models("gpt2"), contrasts_of("gpt2")[:2]
    draw = torch.Generator().manual_seed(0)
    patches = [Patch(site, FromPrompt()) for site in SITES]
    noise = [torch.randn(2, 6, 16, generator=draw, dtype=torch.float64) for _ in some]
    noise = [one[:, :longest] for one, longest in zip(noise, (5, 6), strict=True)]
    both = run_patches(model, some, patches, noise=noise)
    single = [
        run_patches(model, some, patches, noise=[one[n : n + 1] for one in noise]) for n in (0, 1)
    ]
    mean = (single[0].table.value + single[1].table.value) / 2
    assert both.table.value.to_numpy() == pytest.approx(mean.to_numpy(), rel=1e-12)
    assert both.table.effect.abs().max() > 0.1


def test_a_whole_difference_has_its_noise_floor_too(plain_models):
    model, some = plain_models("llama"), contrasts_of("llama")
    given = {"metric": "logit_difference"}
    effects = patch(model, some, SITES, floor=True, **given)
    pd.testing.assert_frame_equal(effects.floor, noise_floors(model, some, SITES, **given))


def test_from_patch_to_the_first_forward_pass_are_three_files(plain_models, monkeypatch):
    model, some, seen = plain_models("llama"), contrasts_of("llama"), []
    patch(model, some, SITES)  # the adapter has proved itself

    def whole(*_, **__):
        seen.extend(frame.filename for frame in traceback.extract_stack())
        raise InterruptedError

    monkeypatch.setattr(Layerwise, "whole", whole)
    with pytest.raises(InterruptedError):
        patch(model, some, SITES)
    files = dict.fromkeys(name.rpartition("interp_rc/")[2] for name in seen if "interp_rc/" in name)
    assert list(files) == [
        "tools/patching/patching.py",
        "engine/run_patches.py",
        "engine/cached.py",
    ]
