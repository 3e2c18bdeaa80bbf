"""Every causal architecture that the installed Transformers knows, built small with random weights.

Sizes are set wherever a configuration has a field of that name, in its parts for texts and images
as well; what a family needs besides stands in `OWN`.
"""

from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

LAYERS, WIDTH, HEADS, CONTEXT = 2, 32, 4, 64
MOST = 20_000_000  # parameters: what is larger was not made small

SIZES: dict[str, Any] = {
    **dict.fromkeys(
        ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers",
         "encoder_layers", "depth"), LAYERS,
    ),
    **dict.fromkeys(
        ("hidden_size", "d_model", "n_embd", "dim_model", "embedding_size", "emb_dim",
         "word_embed_proj_dim", "input_embedding_size", "output_embedding_size",
         "embedding_dim", "lru_width", "attention_hidden_size"), WIDTH,
    ),
    **dict.fromkeys(
        ("intermediate_size", "ffn_dim", "d_inner", "n_inner", "decoder_ffn_dim", "dff", "dim_ff",
         "encoder_ffn_dim", "ffn_hidden_size", "feed_forward_size", "intermediate_size_mlp",
         "expert_ffn_hidden_size", "dense_intermediate_size", "mlp_hidden_size"), 48,
    ),
    **dict.fromkeys(
        ("num_attention_heads", "n_head", "n_heads", "decoder_attention_heads", "num_heads",
         "encoder_attention_heads"), HEADS,
    ),
    **dict.fromkeys(("num_key_value_heads", "num_kv_heads"), 2),
    **dict.fromkeys(
        ("head_dim", "d_kv", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "qk_head_dim",
         "dim_head", "rotary_dim", "attention_head_size", "kv_channels"), 8,
    ),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "moe_k", "moe_topk"), 2),
    **dict.fromkeys(
        ("moe_intermediate_size", "shared_expert_intermediate_size", "shared_intermediate_size",
         "moe_ffn_hidden_size", "moe_shared_expert_intermediate_size"), 16,
    ),
    **dict.fromkeys(("q_lora_rank", "kv_lora_rank"), 8),
    **dict.fromkeys(
        ("max_position_embeddings", "n_positions", "max_seq_len", "max_target_positions",
         "max_source_positions"), CONTEXT,
    ),
    **dict.fromkeys(("n_group", "topk_group", "num_expert_groups"), 1),
    **dict.fromkeys(("chunk_size", "mamba_chunk_size", "attention_chunk_size"), 8),
    "n_shared_experts": 1,
    "first_k_dense_replace": 1, "image_size": 16, "patch_size": 8, "is_decoder": True,
    "initializer_range": 0.2, "init_std": 0.2, "sliding_window": 4, "type_vocab_size": 2,
    "vocab_size_per_layer_input": 64, "hidden_size_per_layer_input": 8, "embed_dim": WIDTH,
    "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 8,
    "linear_value_head_dim": 8, "mamba_d_state": 8, "state_size": 8, "mamba_n_heads": 4,
    "mamba_d_head": 16, "mamba_num_heads": 4, "mamba_head_dim": 16, "mamba_dt_rank": 4,
    "mamba_d_ssm": 64, "time_step_rank": 4, "num_codebooks": 2, "attention_window_size": 4,
}  # fmt: skip

OWN: dict[str, dict[str, Any]] = {
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "window_size": 4},
    "gemma3n_text": {
        "num_kv_shared_layers": 0,
        "layer_types": ["sliding_attention", "full_attention"],
        "intermediate_size": [48, 48],
        "activation_sparsity_pattern": [0.0, 0.0],
    },
    "reformer": {
        "axial_pos_shape": [8, 8], "axial_pos_embds_dim": [16, 16], "feed_forward_size": 48,
        "attn_layers": ["local", "lsh"], "local_attn_chunk_length": 4, "lsh_attn_chunk_length": 4,
        "num_buckets": 2, "attention_head_size": 8,
    },
}  # fmt: skip
"""What a family needs besides, by model type."""


def architectures() -> list[str]:
    """The model types of Transformers' causal language models."""
    return sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)


def small_config(model_type: str, vocabulary: int, **tokens: int) -> PreTrainedConfig:
    """A small configuration; `tokens` are the ids of special tokens."""
    return _shrunk(CONFIG_MAPPING[model_type], SIZES | {"vocab_size": vocabulary} | tokens,
                   OWN.get(model_type, {}))  # fmt: skip


def _shrunk(kind: type[PreTrainedConfig], sizes: dict[str, Any], own: dict[str, Any]) -> Any:
    usual = kind()
    options = {name: value for name, value in sizes.items() if _has(usual, name)}
    if "qk_rope_head_dim" in options:
        options.pop("head_dim", None)  # which follows from it
    if "kv_lora_rank" in options and "num_key_value_heads" in options:
        options["num_key_value_heads"] = HEADS  # keys are not shared in latent attention
    for part, of in kind.sub_configs.items():
        part_kind = type(getattr(usual, part, None) or of())
        if issubclass(part_kind, PreTrainedConfig):
            options[part] = _shrunk(part_kind, sizes, own.get(part, {})).to_dict()
    return kind(**options | own)


def _has(config: PreTrainedConfig, name: str) -> bool:
    """Whether it is a field that can be set, with one value for all layers."""
    derived = getattr(type(config), name, None)
    if isinstance(derived, property) and derived.fset is None:
        return False
    try:
        return hasattr(config, name)
    except Exception:  # Transformers says in this way that each layer has its own
        return False


def build_small(config: PreTrainedConfig, seed: int = 0) -> PreTrainedModel:
    """The causal language model of a configuration, in evaluation mode.

    Matrices are drawn wide enough that logits differ and every part matters.
    Raises ValueError for a model that its configuration does not make small.
    """
    with torch.device("meta"):
        number = sum(p.numel() for p in AutoModelForCausalLM.from_config(config).parameters())
    if number > MOST:
        raise ValueError(f"it has {number} parameters however small its configuration")
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                module.weight.normal_(0, 0.2)
    return model
