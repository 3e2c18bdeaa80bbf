"""Models of a family that has no adapter: layers found by their shape, parts by their names."""

import re
from collections.abc import Callable

from torch import nn
from transformers import PreTrainedModel

from interp_rc.models.adapters.parts import Block, Parts, in_embeddings
from interp_rc.models.dimensions import layers_of, text_config
from interp_rc.records.errors import ModelError

ATTENTION = re.compile(r"attn|attention")
MLP = re.compile(r"mlp|ffn|feed_forward|ff$")


def parts(model: PreTrainedModel) -> Parts:
    """Raises ModelError if there is no list of as many like modules as the model has layers."""
    count = layers_of(model)
    body = model if text_config(model) is model.config else model.get_decoder()
    layers = [
        module
        for module in body.modules()
        if isinstance(module, nn.ModuleList) and len(module) == count and count
        if len({type(one) for one in module}) == 1
    ]
    if not layers:
        raise ModelError(
            f"a model of type {model.config.model_type!r} has no list of {count} layers to be "
            "found; use a model of another family"
        )
    largest = max(layers, key=lambda one: sum(p.numel() for p in one.parameters()))
    given = model.get_input_embeddings()
    return Parts(
        embeddings=[given] if isinstance(given, nn.Embedding) else [],
        blocks=[_block(one) for one in largest],
        final_norm=None,
        head=model.get_output_embeddings(),
        positions=in_embeddings,
        causal=False,  # as far as is known
        known=False,
    )


def _block(layer: nn.Module) -> Block:
    attention, mlp = (_child(layer, wanted.search) for wanted in (ATTENTION, MLP))
    return Block(layer, None, attention, attention, None, mlp, mlp, parallel=True)


def _child(layer: nn.Module, wanted: Callable[[str], object]) -> nn.Module:
    """The only one of that name, else one that is never called."""
    found = [
        child
        for name, child in layer.named_children()
        if wanted(name) and not name.endswith("norm") and "layer_norm" not in name
    ]
    return found[0] if len(found) == 1 else nn.Identity()
