"""Llama and those built like it: Mistral, Qwen2, Qwen3, the first Gemma."""

from transformers import PreTrainedModel

from interp_rc.models.adapters.parts import Block, Parts


def parts(model: PreTrainedModel) -> Parts:
    body = model.model
    return Parts(
        embeddings=[body.embed_tokens],
        blocks=[
            Block(
                one,
                one.input_layernorm,
                one.self_attn,
                one.self_attn.o_proj,
                one.post_attention_layernorm,
                one.mlp,
                one.mlp.down_proj,
                up=one.mlp.up_proj,
                gate=one.mlp.gate_proj,
            )
            for one in body.layers
        ],
        final_norm=body.norm,
        head=model.lm_head,
        positions=lambda stream, positions, layer: {
            "position_embeddings": body.rotary_emb(stream, position_ids=positions)
        },
    )
