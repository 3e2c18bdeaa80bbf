"""GPT-NeoX (Pythia): attention and MLP side by side, unless the configuration says otherwise."""

from transformers import PreTrainedModel

from interp_rc.models.adapters.parts import Block, Parts


def parts(model: PreTrainedModel) -> Parts:
    body, parallel = model.gpt_neox, model.config.use_parallel_residual
    return Parts(
        embeddings=[body.embed_in],
        blocks=[
            Block(one, one.attention, one.mlp, None if parallel else one.post_attention_layernorm)
            for one in body.layers
        ],
        final_norm=body.final_layer_norm,
        head=model.embed_out if hasattr(model, "embed_out") else model.lm_head,
    )
