"""Neurons that write add up to what direct logit attribution finds of whole MLPs."""

import pytest
import torch

from interp_rc.models.load import Loaded
from interp_rc.records.errors import ModelError
from interp_rc.tools.attribution.logit_attribution import logit_attribution
from interp_rc.tools.neurons.writers import neuron_writes
from tests.engine.tiny import masked, precise
from tests.tools.neurons.test_curves import downs, neurons


@pytest.mark.parametrize("shape", ["gpt2", "gpt_neox", "llama", "qwen2", "gemma2"])
def test_neurons_and_bias_are_the_whole_mlp(shape, taught, contrasts):
    loaded, some = precise(taught, shape), contrasts[::6]
    found = neuron_writes(loaded, [c.clean for c in some], [c.target for c in some])
    assert found.shape == (len(some), 2, neurons(loaded))
    table = logit_attribution(loaded, some)
    table = table[(table.site == "mlp_out") & (table.against == "vocabulary")]
    whole = table.set_index(["pair", "layer"]).effect
    without = without_biases(loaded)
    for number, contrast in enumerate(some):
        for layer in (0, 1):
            expected = whole[contrast.id, layer]
            bias = getattr(downs(loaded.model)[layer], "bias", None)
            if bias is not None:
                expected -= of_bias(loaded, without, contrast, layer)
            near = 1e-4 if shape == "gemma2" else 1e-8
            assert float(found[number, layer].sum()) == pytest.approx(expected, rel=near, abs=near)


def without_biases(loaded):
    return [getattr(module, "bias", None) for module in downs(loaded.model)]


def of_bias(loaded, biases, contrast, layer):
    """By hand: the bias through the last LayerNorm at its scale, and the output rows."""
    encoded = loaded.tokenizer(contrast.clean + contrast.target, return_offsets_mapping=True)
    start = next(i for i, (_, b) in enumerate(encoded.offset_mapping) if b > len(contrast.clean))
    kept = {}
    norm = getattr(loaded.model, "transformer", None)
    norm = norm.ln_f if norm is not None else loaded.model.gpt_neox.final_layer_norm
    handle = norm.register_forward_pre_hook(lambda _, args: kept.update(x=args[0][0]))
    with torch.no_grad():
        loaded.model(input_ids=torch.tensor([encoded.input_ids]), use_cache=False)
    handle.remove()
    rows = loaded.model.get_output_embeddings().weight
    total = 0.0
    for position in range(start - 1, len(encoded.input_ids) - 1):
        stream = kept["x"][position]
        scale = (stream.var(unbiased=False) + norm.eps).sqrt()
        part = (biases[layer] - biases[layer].mean()) / scale * norm.weight
        total += float(part @ (rows[encoded.input_ids[position + 1]] - rows.mean(0)))
    return total


def test_one_neuron_is_its_coefficient_times_value_times_row(taught, contrasts):
    loaded, contrast = precise(taught, "llama"), contrasts[0]
    found = neuron_writes(loaded, [contrast.clean], [contrast.target])
    encoded = loaded.tokenizer(contrast.clean + contrast.target, return_offsets_mapping=True)
    start = next(i for i, (_, b) in enumerate(encoded.offset_mapping) if b > len(contrast.clean))
    kept = {}
    handles = [
        downs(loaded.model)[1].register_forward_pre_hook(lambda _, a: kept.update(c=a[0][0])),
        loaded.model.model.norm.register_forward_pre_hook(lambda _, a: kept.update(x=a[0][0])),
    ]
    with torch.no_grad():
        loaded.model(input_ids=torch.tensor([encoded.input_ids]), use_cache=False)
    for handle in handles:
        handle.remove()
    rows, norm = loaded.model.lm_head.weight, loaded.model.model.norm
    value, expected = downs(loaded.model)[1].weight[:, 3], 0.0
    for position in range(start - 1, len(encoded.input_ids) - 1):
        scale = (kept["x"][position].square().mean() + norm.variance_epsilon).sqrt()
        row = rows[encoded.input_ids[position + 1]] - rows.mean(0)
        expected += float(kept["c"][position, 3] * (value * norm.weight / scale) @ row)
    assert float(found[0, 1, 3]) == pytest.approx(expected, rel=1e-9)


def test_streams_that_are_normed_after_each_sum_are_refused(taught, contrasts):
    loaded, some = precise(taught, "bert"), masked(contrasts[:1])
    with pytest.raises(ModelError, match="normed after each sum"):
        neuron_writes(Loaded(*loaded), [some[0].clean], [some[0].target])
