"""BERT and RoBERTa: every token sees every other, unless the configuration says `is_decoder`, and
the stream is normed after each sum."""

from typing import Any

from torch import nn
from transformers import PreTrainedModel

from interp_rc.models.adapters.parts import Block, Parts, in_embeddings


def parts(model: PreTrainedModel) -> Parts:
    body = model.base_model
    return Parts(
        embeddings=[body.embeddings.word_embeddings, body.embeddings.position_embeddings],
        blocks=[_block(one) for one in body.encoder.layer],
        final_norm=None,
        head=model.cls if hasattr(model, "cls") else model.lm_head,
        positions=in_embeddings,
        causal=model.config.is_decoder,
    )


def _block(layer: Any) -> Block:
    return Block(
        whole=layer,
        attention_norm=None,
        attention=layer.attention.self,
        project=layer.attention.output.dense,
        mlp_norm=None,
        mlp=nn.Sequential(layer.intermediate, layer.output.dense),
        down=layer.output.dense,
        mid_norm=layer.attention.output.LayerNorm,
        end_norm=layer.output.LayerNorm,
        up=layer.intermediate.dense,
        projects=False,
    )
