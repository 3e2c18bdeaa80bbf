"""Noise is so many standard deviations of what it is added to, positions taken off."""

import pytest
import torch
from torch import nn
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, AutoModelForMaskedLM

from interp_rc.facts.tracings import Tracing
from interp_rc.models.load import Loaded
from interp_rc.records.errors import ModelError
from interp_rc.tools.patching.tracing import drawn_noise
from tests.engine.loop import FAMILIES, IDS, MASKED, made, word_tokenizer

WIDTH, LAYERS = 16, 2
PLAIN = {
    "vocab_size": len(IDS),
    "bos_token_id": 0,
    "pad_token_id": 1,
    "eos_token_id": 2,
    "hidden_size": WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "max_position_embeddings": 40,
}
SMALL = PLAIN | {"intermediate_size": 20}
OF_GPT = {"n_embd": WIDTH, "n_layer": LAYERS, "n_head": 2, "n_positions": 40}
COMMON = {key: PLAIN[key] for key in ("vocab_size", "bos_token_id", "pad_token_id", "eos_token_id")}
# By model type: its configuration, and where its learnt positions are, if it has any.
OTHERS = {
    "opt": (PLAIN | {"ffn_dim": 20, "word_embed_proj_dim": 8}, "model.decoder.embed_positions"),
    "gpt_bigcode": (COMMON | OF_GPT, "transformer.wpe"),
    "gpt_neo": (
        COMMON
        | {"hidden_size": WIDTH, "num_layers": LAYERS, "num_heads": 2}
        | {"attention_types": [[["global", "local"], 1]], "max_position_embeddings": 40},
        "transformer.wpe",
    ),
    "biogpt": (SMALL | {"scale_embedding": True}, "biogpt.embed_positions"),
    "openai-gpt": (COMMON | OF_GPT, "transformer.positions_embed"),
    "xglm": (
        COMMON | {"d_model": WIDTH, "ffn_dim": 20, "num_layers": LAYERS, "attention_heads": 2},
        "model.embed_positions",
    ),
    "falcon": (PLAIN | {"alibi": False}, None),
    "mpt": (
        {"vocab_size": len(IDS), "d_model": WIDTH, "n_layers": LAYERS, "n_heads": 2}
        | {"max_seq_len": 40},
        None,
    ),
    "bloom": (COMMON | {"hidden_size": WIDTH, "n_layer": LAYERS, "n_head": 2}, None),
    "codegen": (COMMON | OF_GPT | {"n_head": 4, "rotary_dim": 4}, None),
    "gptj": (COMMON | OF_GPT | {"rotary_dim": 4}, None),
    "phi": (SMALL, None),
    "phi3": (SMALL, None),
    "stablelm": (SMALL | {"num_key_value_heads": 2}, None),
    "olmo2": (SMALL, None),
    "cohere": (SMALL, None),
    "granite": (SMALL | {"embedding_multiplier": 12.0}, None),
    "starcoder2": (SMALL, None),
}
IN_BERT = "embeddings.position_embeddings"
MASKED_OTHERS = {
    "distilbert": (
        {"vocab_size": len(IDS), "dim": WIDTH, "n_layers": LAYERS, "n_heads": 2, "pad_token_id": 1}
        | {"hidden_dim": 20},
        f"distilbert.{IN_BERT}",
    ),
    "electra": (SMALL | {"embedding_size": 8}, f"electra.{IN_BERT}"),
}
KNOWN = {
    "gpt2": "transformer.wpe",
    "bert": f"bert.{IN_BERT}",
    "roberta": f"roberta.{IN_BERT}",
}


def other(kind):
    masked = kind in MASKED_OTHERS
    settings, positions = (OTHERS | MASKED_OTHERS)[kind]
    auto = AutoModelForMaskedLM if masked else AutoModelForCausalLM
    model = auto.from_config(CONFIG_MAPPING[kind](**settings)).eval().requires_grad_(False)
    draw = torch.Generator().manual_seed(0)
    for _, weight in sorted(dict(model.named_parameters()).items()):
        weight.add_(0.3 * torch.randn(weight.shape, generator=draw))
    return Loaded(model, word_tokenizer(masked)), positions


def given(kind):
    if kind in FAMILIES:
        return made(kind), KNOWN.get(kind)
    return other(kind)


def tracings(masked):
    end = " <mask>" if masked else ""
    return [
        Tracing("one", "one", f"w1 w2 w3 w4 w5{end}", "w2 w3", "w7" if masked else " w7"),
        Tracing("two", "two", f"w6 w2 w8 w9{end}", "w6", "w3" if masked else " w3"),
    ]


def read_by_the_first_layer(model, ids, positions):
    """With hooks of its own, and the table of positions set to zero."""
    lists = [m for m in model.modules() if isinstance(m, nn.ModuleList) and len(m) in (2, 3)]
    layers = max(lists, key=lambda one: sum(p.numel() for p in one.parameters()))
    kept = {}

    def keep(_, args, kwargs):
        kept["x"] = args[0] if args else kwargs["hidden_states"]

    handle = layers[0].register_forward_pre_hook(keep, with_kwargs=True)
    table = None if positions is None else model.get_submodule(positions)
    tensor = getattr(table, "weight", getattr(table, "weights", None))
    before = None if tensor is None else tensor.clone()
    try:
        if tensor is not None:
            tensor.zero_()
        with torch.no_grad():
            model(input_ids=torch.tensor([ids]))
    finally:
        handle.remove()
        if tensor is not None:
            tensor.copy_(before)
    return kept["x"][0]


@pytest.mark.filterwarnings("ignore:no adapter knows")
@pytest.mark.parametrize("kind", [*FAMILIES, *OTHERS, *MASKED_OTHERS])
def test_three_deviations_of_what_it_is_added_to(kind):
    masked = kind in MASKED or kind in MASKED_OTHERS
    loaded, positions = given(kind)
    some = tracings(masked)
    noise = drawn_noise(loaded, some, draws=4000, scale=3.0, seed=0)
    # One special token stands before the words.
    texts = [loaded.tokenizer(f"{t.prompt}{'' if masked else t.target}").input_ids for t in some]
    at = [[2, 3], [1]]
    there = [
        read_by_the_first_layer(loaded.model, ids, positions)[tokens]
        for ids, tokens in zip(texts, at, strict=True)
    ]
    assert [one.shape[1] for one in noise] == [2, 1]
    deviation = torch.cat(there).float().std()
    ratio = torch.cat([one.flatten() for one in noise]).std() / deviation
    assert ratio == pytest.approx(3.0, rel=0.01)


def test_positions_without_a_module_are_refused():
    settings = {"vocab_size": len(IDS), "n_embd": WIDTH, "n_layer": LAYERS, "n_head": 2, "dff": 20}
    model = AutoModelForCausalLM.from_config(CONFIG_MAPPING["ctrl"](**settings)).eval()
    with pytest.raises(ModelError, match=r"adds positions in no module.*give trace\(\) the noise"):
        drawn_noise(Loaded(model, word_tokenizer(False)), tracings(False), draws=1, scale=3, seed=0)
