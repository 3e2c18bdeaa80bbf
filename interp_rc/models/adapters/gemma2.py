"""Gemma 2 and 3: norms before and after attention and MLP, logits capped, positions by layer."""

from typing import Any

from torch import Tensor
from transformers import PreTrainedModel

from interp_rc.models.adapters.parts import Block, Parts


def parts(model: PreTrainedModel) -> Parts:
    body = model.model

    def positions(stream: Tensor, positions: Tensor, layer: int) -> dict[str, Any]:
        several = hasattr(body.rotary_emb, "layer_types")  # Gemma 3: local and global
        kind = (model.config.layer_types[layer],) if several else ()
        return {"position_embeddings": body.rotary_emb(stream, positions, *kind)}

    return Parts(
        embeddings=[body.embed_tokens],
        blocks=[
            Block(
                one,
                one.input_layernorm,
                one.self_attn,
                one.self_attn.o_proj,
                one.pre_feedforward_layernorm,
                one.mlp,
                one.mlp.down_proj,
                after_attention=one.post_attention_layernorm,
                after_mlp=one.post_feedforward_layernorm,
                up=one.mlp.up_proj,
                gate=one.mlp.gate_proj,
            )
            for one in body.layers
        ],
        final_norm=body.norm,
        head=model.lm_head,
        positions=positions,
        softcap=model.config.final_logit_softcapping,
    )
