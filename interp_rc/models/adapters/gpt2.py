"""GPT-2: attention, then MLP, each read through a LayerNorm and added to the stream."""

from transformers import PreTrainedModel

from interp_rc.models.adapters.parts import Block, Parts, in_embeddings


def parts(model: PreTrainedModel) -> Parts:
    body = model.transformer
    return Parts(
        embeddings=[body.wte, body.wpe],
        blocks=[
            Block(
                one,
                one.ln_1,
                one.attn,
                one.attn.c_proj,
                one.ln_2,
                one.mlp,
                one.mlp.c_proj,
                up=one.mlp.c_fc,
            )
            for one in body.h
        ],
        final_norm=body.ln_f,
        head=model.lm_head,
        positions=in_embeddings,
    )
