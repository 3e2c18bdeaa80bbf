"""A causal model's layers one by one, on lines of tokens, through the model's own modules."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedModel

from interp_rc.models.adapters.parts import Parts
from interp_rc.models.adapters.ragged import Attending

Stream = Float[Tensor, "token width"]


class _Embedded(Exception):
    """Ends a forward pass once the first layer's input is known."""


class Layerwise:
    """Embedding, attention and MLP of each layer, and logits; usable within `ragged_attention`."""

    def __init__(self, model: PreTrainedModel, parts: Parts) -> None:
        self.model, self.parts = model, parts

    @property
    def layers(self) -> int:
        return len(self.parts.blocks)

    def embed(self, ids: Int[Tensor, "prompt position"]) -> Float[Tensor, "prompt position width"]:
        """What the first layer reads, as the model's own forward makes it."""
        found = {}

        def stop(_: torch.nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, Tensor]) -> None:
            found["stream"] = args[0] if args else kwargs["hidden_states"]
            raise _Embedded

        handle = self.parts.blocks[0].whole.register_forward_pre_hook(stop, with_kwargs=True)
        try:
            self.model(input_ids=ids, use_cache=False)
        except _Embedded:
            pass
        finally:
            handle.remove()
        return found["stream"]

    def attention(self, layer: int, stream: Stream, ragged: Attending) -> Stream:
        """What attention adds to the stream."""
        block = self.parts.blocks[layer]
        read = block.attention_norm(stream)[None]
        told = self.parts.positions(read, ragged.layout.position[None], layer)
        out = block.attention(read, attention_mask=None, ragged=ragged, **told)[0][0]
        return out if block.after_attention is None else block.after_attention(out)

    def mlp(self, layer: int, stream: Stream) -> Stream:
        """What the MLP adds to the stream, read from before or (parallel) beside attention."""
        block = self.parts.blocks[layer]
        out = block.mlp(block.mlp_norm(stream))
        return out if block.after_mlp is None else block.after_mlp(out)

    def add(self, layer: int, stream: Stream, attention: Stream) -> tuple[Stream, Stream]:
        """The layer's output and what its MLP added, from its input and what attention added."""
        if self.parts.blocks[layer].parallel:
            added = self.mlp(layer, stream)
            return added + attention + stream, added  # in the model's own order of rounding
        middle = stream + attention
        added = self.mlp(layer, middle)
        return middle + added, added

    def logits(self, stream: Stream) -> Float[Tensor, "token vocabulary"]:
        return self.parts.head(self.parts.final_norm(stream))
