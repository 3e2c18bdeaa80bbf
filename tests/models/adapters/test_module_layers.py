"""A module's layer is that of the stack that it is part of, whatever else is numbered."""

import pytest
from torch import nn
from transformers import CONFIG_MAPPING, AutoModel, AutoModelForCausalLM

from interp_rc.models.adapters.module_layers import layer_of

SMALL = {
    "vocab_size": 10,
    "hidden_size": 8,
    "intermediate_size": 8,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
}
IN_MIXTRAL = {
    "model.layers.2.mlp": 2,
    "model.layers.3.mlp.experts": 3,
    "model.layers.0": 0,
    "model.layers": None,
    "model.norm": None,
    "model.embed_tokens": None,
    "lm_head": None,
}
IN_T5 = {
    "encoder.block.2.layer.1.DenseReluDense": 2,
    "decoder.block.3.layer.0.SelfAttention.q": 3,
    "encoder.final_layer_norm": None,
}


@pytest.mark.parametrize(("name", "layer"), IN_MIXTRAL.items())
def test_in_a_mixture_of_experts(name, layer):
    model = AutoModelForCausalLM.from_config(CONFIG_MAPPING["mixtral"](**SMALL))
    assert layer_of(model, name) == layer


@pytest.mark.parametrize(("name", "layer"), IN_T5.items())
def test_in_an_encoder_with_a_decoder(name, layer):
    small = {"vocab_size": 10, "d_model": 8, "d_ff": 8, "num_layers": 4, "num_heads": 2}
    model = AutoModel.from_config(CONFIG_MAPPING["t5"](**small))
    assert layer_of(model, name) == layer


def test_lists_that_are_no_layers():
    model = nn.ModuleDict(
        {
            "books": nn.ModuleList(nn.Embedding(2, 2) for _ in range(3)),
            "heads": nn.ModuleList(nn.Linear(2, 2) for _ in range(3)),
            "head": nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)),
            "stack": nn.ModuleList(
                nn.ModuleDict({"experts": nn.ModuleList(nn.Linear(2, 2) for _ in range(5))})
                for _ in range(3)
            ),
            "norms": nn.ModuleList(nn.LayerNorm(2) for _ in range(3)),
        }
    )
    assert [layer_of(model, name) for name in ("books.1", "heads.2", "head.1")] == [None] * 3
    assert layer_of(model, "stack.2.experts.4") == 2
    assert layer_of(model, "norms.1") == 1
