"""Keys, coefficients and values are those that the model computes with."""

import pytest
import torch

from interp_rc.engine.cached import cache
from interp_rc.engine.inputs import read_inputs
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.adapters.parts import Place, through
from interp_rc.models.adapters.unknown import parts as unknown_parts
from interp_rc.records.errors import ModelError
from interp_rc.tools.neurons.key_values import key_values, promoted, promotes
from tests.engine.tiny import MASK, precise

SHAPES = ("gpt2", "gpt_neox", "llama", "qwen2", "gemma2", "bert")


@pytest.fixture(params=SHAPES)
def loaded(request, taught):
    return precise(taught, request.param)


def read(loaded):
    """What each layer's MLP reads and has, of one prompt."""
    runs = Adapter(loaded.model).by_layers
    prompt = "Known for being the" + (f" {MASK}" if loaded.tokenizer.mask_token else "")
    inputs = read_inputs(loaded, [prompt], [" a"])
    places = [
        Place(component, layer)
        for component in ("resid_pre", "resid_mid", "mlp_post", "mlp_out")
        for layer in range(runs.layers)
        if component != "resid_mid" or not runs.parts.blocks[layer].parallel
    ]
    with runs.opened(), torch.no_grad():
        cached = cache(runs, inputs, places)
    return runs, cached


def activation(model):
    mlp = next(m for m in model.modules() if hasattr(m, "act_fn") or hasattr(m, "act"))
    found = getattr(mlp, "act_fn", None) or getattr(mlp, "act", None)
    if model.config.model_type == "bert":
        found = model.bert.encoder.layer[0].intermediate.intermediate_act_fn
    return found


def test_a_coefficient_is_its_key_times_what_is_read(loaded):
    runs, cached = read(loaded)
    act, adapter = activation(loaded.model), Adapter(loaded.model)
    for layer, block in enumerate(runs.parts.blocks):
        component = "resid_pre" if block.parallel else "resid_mid"
        stream = cached.at.get(Place(component, layer), cached.stream[layer])[0]
        stream = through(block.mlp_norm, stream)
        keys, gates, values = key_values(adapter, layer)
        bias = getattr(block.up, "bias", None)
        product = stream @ keys.T + (0 if bias is None else bias)
        expected = act(product) if gates is None else act(stream @ gates.T) * product
        found = cached.at[Place("mlp_post", layer)][0]
        assert (gates is None) == (loaded.model.config.model_type in ("gpt2", "gpt_neox", "bert"))
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-10)
        bias = getattr(block.down, "bias", None)
        written = through(block.after_mlp, found @ values + (0 if bias is None else bias))
        torch.testing.assert_close(
            cached.at[Place("mlp_out", layer)][0], written, rtol=1e-9, atol=1e-9
        )


def test_of_lora_adapters_the_sum_is_meant(taught):
    from peft import LoraConfig, get_peft_model

    loaded = precise(taught, "llama")
    targets = ["down_proj", "up_proj"]
    config = LoraConfig(r=2, target_modules=targets, init_lora_weights=False)
    model = get_peft_model(loaded.model, config).base_model.model.double().eval()
    found = key_values(Adapter(model), 1)
    merged = model.model.layers[1].mlp
    for weights, module in ((found.keys, merged.up_proj), (found.values.T, merged.down_proj)):
        expected = module.base_layer.weight + module.get_delta_weight("default")
        torch.testing.assert_close(weights, expected.data, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("shape", ["gpt2", "gpt_neox", "llama", "qwen2", "gemma2"])
def test_what_a_value_promotes_is_what_it_adds_to_the_logits(taught, shape):
    """By the model's own norm and head, of a vector so large that nothing else counts."""
    loaded = precise(taught, shape)
    parts = Adapter(loaded.model).parts
    value = torch.randn(32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        logits = parts.head(parts.final_norm(1e6 * value)) - parts.head(
            parts.final_norm(torch.zeros_like(value))
        )
    found = promotes(Adapter(loaded.model), value[None])[0]
    scale = (logits @ found) / (found @ found)
    torch.testing.assert_close(scale * found, logits, rtol=1e-6, atol=1e-8)
    assert scale > 0


def test_the_words_of_a_neuron_are_those_that_its_value_promotes(taught):
    loaded = precise(taught, "gpt2")
    scores = promotes(Adapter(loaded.model), loaded.model.transformer.h[1].mlp.c_proj.weight[5:6])
    best = promoted(loaded, 1, 5, k=3)
    expected = scores[0].topk(3)
    assert [one.token for one in best] == [
        loaded.tokenizer.decode([t]) for t in expected.indices.tolist()
    ]
    assert [one.score for one in best] == pytest.approx(expected.values.tolist())


def test_unknown_families_say_so(taught, monkeypatch):
    monkeypatch.setattr("interp_rc.models.adapters.adapter._family", lambda model: unknown_parts)
    with pytest.raises(ModelError, match="no adapter knows"):
        key_values(Adapter(precise(taught, "llama").model), 0)
