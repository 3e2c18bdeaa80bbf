"""No effect depends on what else is measured beside it, or it is refused; nor is an adapter blamed
for weights that are no numbers."""

import copy
import math

import numpy as np
import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

import interp_rc as rc
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.load import Loaded
from interp_rc.records.errors import DataError, ModelError
from interp_rc.records.nouns import Contrast, Span
from tests.engine.loop import IDS, made, word_tokenizer

SIZE = {
    "vocab_size": len(IDS), "hidden_size": 16, "intermediate_size": 20, "num_hidden_layers": 2,
    "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 40,
    "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2,
}  # fmt: skip
LONG = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "short_factor": [1.0] * 4,
    "long_factor": [9.0] * 4,
    "original_max_position_embeddings": 8,
}
BESIDE = {"phi3": {"original_max_position_embeddings": 8}}  # which is what is used there
SHORT = Contrast("s", "s", None, "w1 w2 w3", "w1 w4 w3", " w5", spans={"A": [Span(3, 5)] * 2})
OTHER = Contrast("o", "o", None, "w6 w7 w3 w9", "w6 w8 w3 w9", " w9", spans={"A": [Span(3, 5)] * 2})
TOO_LONG = Contrast(
    "long", "long", None, f"w1 w2 {'w3 ' * 8}w9", f"w1 w4 {'w3 ' * 8}w9", " w5", line=7,
    spans={"A": [Span(3, 5)] * 2},
)  # fmt: skip


@pytest.fixture(scope="module", params=["phi3", "llama"])
def model(request):
    config = CONFIG_MAPPING[request.param](
        **SIZE, rope_parameters=dict(LONG), **BESIDE.get(request.param, {})
    )
    torch.manual_seed(0)
    made_here = AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)
    for weight in made_here.parameters():
        weight.add_(0.3 * torch.randn(weight.shape))
    return Loaded(made_here, word_tokenizer(False))


@pytest.mark.filterwarnings("ignore:no adapter knows")
def test_alone_and_in_company_are_equal_or_refused(model):
    sites = [rc.Site("resid_post", 0, "A")]
    alone = rc.patch(model, [SHORT], sites).table.value.item()
    both = rc.patch(model, [OTHER, SHORT], sites).table.set_index("pair").value
    assert both["s"] == pytest.approx(alone, abs=1e-6)
    with pytest.raises(DataError, match=r"'long' \(line 7\): .*more than 8 make this model"):
        rc.patch(model, [SHORT, TOO_LONG], sites)


def test_moments_of_texts_that_are_too_long_are_refused(model):
    if model.model.config.model_type == "llama":
        with pytest.raises(DataError, match="more than 8 make this model"):
            rc.second_moments(model, [SHORT.clean, TOO_LONG.clean], [0])
    with pytest.raises(DataError, match="has 42 tokens; the model reads 40"):
        rc.second_moments(made("gpt2"), ["w1 " * 41], [0])


@pytest.mark.parametrize(("value", "word"), [(math.nan, "NaN"), (math.inf, "infinite")])
def test_weights_that_are_no_numbers_are_named(value, word):
    broken = copy.deepcopy(made("gpt2").model)
    broken.transformer.h[1].mlp.c_fc.weight[0, 0] = value
    message = rf"1 of \d+ values of transformer\.h\.1\.mlp\.c_fc\.weight are {word}"
    with pytest.raises(ModelError, match=message):
        Adapter(broken)


def test_logits_that_overflow_are_not_blamed_on_the_adapter():
    large = copy.deepcopy(made("gpt2", dtype=torch.float32).model)
    large.transformer.ln_f.weight.fill_(3e38)
    assert all(np.isfinite(p.numpy()).all() for p in large.parameters())
    with pytest.raises(ModelError, match="own logits are NaN or infinite, although its weights"):
        Adapter(large)
