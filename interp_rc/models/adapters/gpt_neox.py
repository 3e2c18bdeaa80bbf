"""GPT-NeoX (Pythia): attention and MLP side by side, unless the configuration says otherwise."""

from transformers import PreTrainedModel

from interp_rc.models.adapters.parts import Block, Parts


def parts(model: PreTrainedModel) -> Parts:
    body, parallel = model.gpt_neox, model.config.use_parallel_residual
    return Parts(
        embeddings=[body.embed_in],
        blocks=[
            Block(
                one,
                one.input_layernorm,
                one.attention,
                one.attention.dense,
                one.post_attention_layernorm,
                one.mlp,
                one.mlp.dense_4h_to_h,
                up=one.mlp.dense_h_to_4h,
                parallel=parallel,
            )
            for one in body.layers
        ],
        final_norm=body.final_layer_norm,
        head=model.embed_out if hasattr(model, "embed_out") else model.lm_head,
        positions=lambda stream, positions, layer: {
            "position_embeddings": body.rotary_emb(stream, position_ids=positions)
        },
    )
