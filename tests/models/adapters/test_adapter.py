"""The adapters read and replace what they say, and refuse models that they do not fit."""

import copy

import pytest
import torch
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    GemmaConfig,
    GPTNeoXConfig,
    MistralConfig,
    Qwen3Config,
)

from interp_rc.models.adapters import adapter as module
from interp_rc.models.adapters.adapter import Adapter, Edit
from interp_rc.models.adapters.parts import Place
from interp_rc.records.errors import ModelError

IDS = torch.tensor([[1, 7, 30, 45, 12, 9, 88]])
SMALL = {
    "vocab_size": 100,
    "num_hidden_layers": 2,
    "hidden_size": 32,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "intermediate_size": 48,
}


def made(config):
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)


def test_the_stream_is_the_hidden_states(tiny):
    """Transformers' own hidden states are what enters each layer."""
    adapter = Adapter(tiny.model)
    states = tiny.model(input_ids=IDS, output_hidden_states=True).hidden_states
    with adapter.hooked():
        logits, found = adapter.run(IDS, capture=adapter.places)
    for layer in range(adapter.layers):
        assert torch.equal(found[Place("resid_pre", layer)], states[layer])
    last = found[Place("resid_post", adapter.layers - 1)]
    torch.testing.assert_close(adapter.parts.final_norm(last), states[-1])
    assert torch.equal(logits, tiny.model(input_ids=IDS).logits)


def test_an_edit_gives_what_the_rest_of_the_model_makes_of_it(tiny):
    """A stream replaced after the last layer goes through norm and head, and nowhere else."""
    adapter = Adapter(tiny.model)
    place = Place("resid_post", adapter.layers - 1)
    new = torch.randn(1, tiny.model.config.hidden_size)
    edit = Edit(torch.tensor([0]), torch.tensor([3]), new)
    before = tiny.model(input_ids=IDS).logits
    with adapter.hooked():
        after, found = adapter.run(IDS, capture=[place], edits={place: edit})
    assert torch.equal(found[place][0, 3], new[0])
    expected = adapter.parts.head(adapter.parts.final_norm(new))
    torch.testing.assert_close(after[0, 3], expected[0])
    others = [0, 1, 2, 4, 5, 6]
    assert torch.equal(after[0, others], before[0, others])


def test_the_middle_of_the_stream_reaches_mlp_and_skip(taught):
    """For GPT-2, by its equations: out = mid + mlp(ln_2(mid))."""
    model = copy.deepcopy(taught["gpt2"].model).double()
    adapter, block = Adapter(model), model.transformer.h[0]
    middle = torch.randn(1, model.config.hidden_size, dtype=torch.float64)
    edit = Edit(torch.tensor([0]), torch.tensor([2]), middle)
    with adapter.hooked():
        _, found = adapter.run(IDS, capture=adapter.places, edits={Place("resid_mid", 0): edit})
    torch.testing.assert_close(found[Place("resid_mid", 0)][0, 2], middle[0])
    expected = middle + block.mlp(block.ln_2(middle))
    torch.testing.assert_close(found[Place("resid_post", 0)][0, 2], expected[0])


def test_the_model_is_left_as_it_was(tiny):
    def hooks():
        modules = list(tiny.model.modules())
        return [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in modules]

    before, had = tiny.model(input_ids=IDS).logits, hooks()
    adapter = Adapter(tiny.model)
    with pytest.raises(RuntimeError, match="stop"), adapter.hooked():
        assert hooks() != had
        raise RuntimeError("stop")
    assert hooks() == had
    assert torch.equal(tiny.model(input_ids=IDS).logits, before)


def test_an_edit_that_would_do_nothing_is_refused(taught):
    adapter, place = Adapter(taught["llama"].model), Place("mlp_out", 0)
    with pytest.raises(ModelError, match="read and replaced inside one"):
        adapter.run(IDS, capture=[place])
    with adapter.hooked(), pytest.raises(ModelError, match="no mlp_out of layer 99"):
        adapter.run(IDS, capture=[Place("mlp_out", 99)])


@pytest.mark.parametrize("kind", [MistralConfig, Qwen3Config, GemmaConfig])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_further_families_prove_themselves(kind, dtype):
    adapter = Adapter(made(kind(**SMALL)).to(dtype))
    assert len(adapter.places) == 10


@pytest.mark.parametrize("parallel", [True, False])
def test_a_parallel_block_has_no_middle(parallel):
    config = GPTNeoXConfig(
        vocab_size=100,
        num_hidden_layers=2,
        hidden_size=32,
        num_attention_heads=2,
        intermediate_size=48,
        use_parallel_residual=parallel,
    )
    places = Adapter(made(config)).places
    assert (Place("resid_mid", 0) in places) is not parallel


def test_of_an_unknown_family_only_what_is_proven_is_offered():
    """Bloom's attention adds the stream itself, so its output is not what is added."""
    model = made(BloomConfig(vocab_size=100, n_layer=2, hidden_size=32, n_head=2))
    adapter = Adapter(model)
    assert adapter.layerwise is None
    assert {place.component for place in adapter.places} == {"resid_pre", "resid_post"}
    model.transformer.h = nn.ModuleList(model.transformer.h[:1])
    with pytest.raises(ModelError, match="has no list of 2 layers"):
        Adapter(model)


def test_a_silent_no_op_is_refused(taught, monkeypatch):
    """Hooks on modules that the model never calls would change nothing, and say nothing."""
    real = module.FAMILIES["llama"]

    def elsewhere(model):
        parts = real(model)
        return parts._replace(blocks=[b._replace(down=nn.Identity()) for b in parts.blocks])

    monkeypatch.setitem(module.FAMILIES, "llama", elsewhere)
    with pytest.raises(ModelError, match="mlp_out of layer 0 is never computed"):
        Adapter(taught["llama"].model)


def test_places_that_are_not_what_they_say_are_refused(taught, monkeypatch):
    real = module.FAMILIES["llama"]

    def wrong(model):
        parts = real(model)
        return parts._replace(blocks=[b._replace(project=b.down) for b in parts.blocks])

    monkeypatch.setitem(module.FAMILIES, "llama", wrong)
    with pytest.raises(ModelError, match="layer 0 is not its input, attention and MLP summed"):
        Adapter(taught["llama"].model)


def test_a_model_that_scales_what_a_layer_adds_is_refused(taught):
    """Some models multiply attention's output before adding it: the sum would not hold."""
    model = copy.deepcopy(taught["llama"].model)
    for block in model.model.layers:
        block.register_forward_hook(lambda _, __, out: out * 0.5)
    with pytest.raises(ModelError, match="not its input, attention and MLP summed"):
        Adapter(model)
