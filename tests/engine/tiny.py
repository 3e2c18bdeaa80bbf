"""Models in float64 through and through, of more families than are taught; prompts with masks."""

import copy
import dataclasses
import functools

import torch
from transformers import BertConfig, BertForMaskedLM, Gemma2Config, Gemma2ForCausalLM

from interp_rc.models.load import Loaded
from interp_rc.records.nouns import Span

MASK = "[MASK]"


def precise(taught, shape):
    """Of four kinds the taught ones; others with random weights that make them opinionated."""
    if shape in taught:
        model = copy.deepcopy(taught[shape].model).double()
        return Loaded(_in_double(model), taught[shape].tokenizer)
    tokenizer = copy.deepcopy(taught["llama"].tokenizer)
    if shape == "bert":
        tokenizer.add_special_tokens({"mask_token": MASK})
    size = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "initializer_range": 0.4,
    }
    torch.manual_seed(0)
    if shape == "bert":
        model = BertForMaskedLM(BertConfig(**size))
    else:  # norms before and after, shared keys, a window of 24 tokens in the first layer
        kinds = ["sliding_attention", "full_attention"]
        of_gemma = {"num_key_value_heads": 2, "head_dim": 8, "sliding_window": 24}
        none = {"attn_logit_softcapping": None, "layer_types": kinds}  # caps come with float32
        model = Gemma2ForCausalLM(Gemma2Config(**size, **of_gemma, **none))
    return Loaded(_in_double(model.double().eval().requires_grad_(False)), tokenizer)


def _in_double(model):
    """Transformers computes these norms in float32, whatever the model's type."""
    for module in model.modules():
        if type(module).__name__.endswith("RMSNorm"):
            module.forward = functools.partial(_norm, module)
    return model


def _norm(module, value):
    gemma = hasattr(module, "eps")
    spread = value.pow(2).mean(-1, keepdim=True) + (
        module.eps if gemma else module.variance_epsilon
    )
    return value * torch.rsqrt(spread) * (module.weight + gemma)


def end_of(shape):
    """The span where the target is predicted."""
    return "mask" if shape == "bert" else "prompt"


def masked(contrasts):
    """With a mask for the target, which is the span `prompt`'s end in the others."""
    return [
        dataclasses.replace(
            one,
            clean=f"{one.clean} {MASK} .",
            corrupted=f"{one.corrupted} {MASK} .",
            spans={
                "source": one.spans["source"],
                "mask": [
                    Span(len(prompt) + 1, len(prompt) + 1 + len(MASK))
                    for prompt in (one.clean, one.corrupted)
                ],
            },
        )
        for one in contrasts
    ]
