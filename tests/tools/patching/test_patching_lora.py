"""Between a base and its LoRA adapter, which is not merged: as between two whole models."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from interp_rc.engine.interventions import FromModel, FromPrompt, WithoutAdapters
from interp_rc.engine.sites import Site
from interp_rc.models.load import Loaded, load, save
from interp_rc.records.errors import ModelError
from interp_rc.tools.patching.patching import patch
from tests.engine.hooked import sites_of
from tests.models.test_lora import adapted, saved

pytestmark = pytest.mark.slow

COMPONENTS = ("resid_pre", "z", "attn_out", "mlp_post", "mlp_out", "resid_post")
KINDS = {
    "plain": {},
    "attention": {"target_modules": ["q_proj", "v_proj"], "use_rslora": True},
    "dora": {"use_dora": True},
    "trained whole": {"modules_to_save": ["lm_head"]},
}


@pytest.fixture
def pair(taught, tmp_path, request):
    """The adapted model as it is loaded, its base as it was, and both in one."""
    shape, kind = request.param
    base = taught[shape]
    save(base, tmp_path / "base")
    made = adapted(base, tmp_path / "base", **KINDS[kind])
    saved(made, tmp_path / "adapter")
    merged = Loaded(made.merge_and_unload().eval(), base.tokenizer)
    return load(tmp_path / "adapter"), base, merged


@pytest.mark.parametrize(
    "pair",
    [
        ("llama", "plain"),
        ("gpt2", "plain"),
        ("gpt_neox", "plain"),
        ("llama", "attention"),
        ("llama", "dora"),
        ("llama", "trained whole"),
    ],
    indirect=True,
    ids=" ".join,
)
def test_as_between_whole_models(pair, contrasts):
    model, base, merged = pair
    some, sites = contrasts[:4], sites_of(COMPONENTS)
    own = [weight.clone() for weight in model.model.parameters()]
    for into in ("corrupted", "clean"):
        found = patch(model, some, sites, intervention=WithoutAdapters(), into=into)
        beside = patch(merged, some, sites, intervention=FromModel(base), into=into)
        for column in ("clean", "corrupted"):
            np.testing.assert_allclose(found.baselines[column], beside.baselines[column],
                                       rtol=1e-4, atol=1e-4)  # fmt: skip
        np.testing.assert_allclose(found.table.value, beside.table.value, rtol=1e-4, atol=1e-4)
        assert found.table.effect.abs().max() > 0.1
        assert (found.baselines.clean - found.baselines.corrupted).abs().max() > 0.1
    # Nothing is left changed: neither weights, nor the switch.
    assert all(torch.equal(a, b) for a, b in zip(own, model.model.parameters(), strict=True))
    inside = patch(model, some, sites, intervention=FromPrompt())
    beside = patch(merged, some, sites)
    np.testing.assert_allclose(inside.table.value, beside.table.value, rtol=1e-4, atol=1e-4)


def test_the_whole_stream_at_the_end_is_the_other_model(taught, contrasts, tmp_path):
    """A closed form: where the last layer's output is read, the base's own gives its own answer."""
    base = taught["llama"]
    save(base, tmp_path / "base")
    loaded = load(saved(adapted(base, tmp_path / "base"), tmp_path / "adapter"))
    some = [replace(c, target=".", foil=None) for c in contrasts[:3]]
    site = Site("resid_post", 1, "prompt", "last")
    found = patch(loaded, some, [site], intervention=WithoutAdapters())
    np.testing.assert_allclose(found.table.value, found.baselines.clean, rtol=1e-5)
    assert found.table.effect.abs().min() > 1e-3
    unpatched = patch(base, some, [site]).baselines.clean
    np.testing.assert_allclose(found.baselines.clean, unpatched, rtol=1e-5)


def test_a_model_without_adapters_says_so(taught, contrasts):
    with pytest.raises(ModelError, match="no adapters to switch off"):
        patch(taught["llama"], contrasts[:1], sites_of(["mlp_out"]), intervention=WithoutAdapters())
