"""How many tokens a model reads, whatever its configuration calls it."""

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    CamembertConfig,
    Gemma3Config,
    GPT2Config,
    MptConfig,
    OPTConfig,
    RobertaConfig,
    XLNetConfig,
)

from interp_rc.models.soft_prompt import context_of

SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 50}
INNER = SMALL | {"intermediate_size": 16}
ROBERTA = INNER | {"max_position_embeddings": 24, "is_decoder": True, "type_vocab_size": 1}
OF_GEMMA = INNER | {"max_position_embeddings": 24, "head_dim": 8, "num_key_value_heads": 1}
OF_VISION = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1,
             "num_attention_heads": 2, "image_size": 28, "patch_size": 14}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "context"),
    [
        (GPT2Config(n_embd=16, n_layer=1, n_head=2, n_positions=24, vocab_size=50), 24),
        (OPTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, ffn_dim=16,
                   word_embed_proj_dim=16, vocab_size=50, max_position_embeddings=24), 24),
        (MptConfig(d_model=16, n_heads=2, n_layers=1, vocab_size=50, max_seq_len=24), 24),
        (XLNetConfig(d_model=16, n_layer=1, n_head=2, d_inner=16, vocab_size=50), None),
        (BloomConfig(hidden_size=16, n_layer=1, n_head=2, vocab_size=50), None),
        (RobertaConfig(**ROBERTA), 22),
        (CamembertConfig(**ROBERTA, pad_token_id=4), 19),
        (Gemma3Config(text_config=OF_GEMMA, vision_config=OF_VISION), 24),
    ],
    ids=lambda value: getattr(value, "model_type", ""),
)  # fmt: skip
def test_the_context(config, context):
    model = AutoModelForCausalLM.from_config(config).eval()
    assert context_of(model) == context
    if context is not None and config.model_type != "mpt":  # which counts no positions
        ids = torch.full((1, context), 9)
        with torch.no_grad():
            assert model(input_ids=ids).logits.shape[1] == context


def test_one_token_more_than_robertas_kind_reads_is_too_many():
    model = AutoModelForCausalLM.from_config(RobertaConfig(**ROBERTA)).eval()
    with pytest.raises((IndexError, RuntimeError), match="index"), torch.no_grad():
        model(input_ids=torch.full((1, context_of(model) + 1), 9))
