"""A model's layers one by one, on lines of tokens, through the model's own modules."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from interp_rc.models.adapters.embedded import embed
from interp_rc.models.adapters.parts import Component, Parts, through
from interp_rc.models.adapters.ragged import (
    Attending,
    Heads,
    Masks,
    ragged_attention,
    whole_prompts,
)
from interp_rc.models.evaluating import evaluating
from interp_rc.models.lora import adapters_in, switched_off
from interp_rc.models.machine import device_of
from interp_rc.records.errors import ModelError

Stream = Float[Tensor, "token width"]
See = Callable[[Component, Tensor], Tensor]
"""Is shown each component's value on its way, and returns what is to stand in its place."""


def unchanged(_: Component, value: Tensor) -> Tensor:
    return value


class Layerwise:
    """Embedding, layers, and logits; usable within `opened`, by several threads.

    The layers may be on several devices. All that goes in or out is on one, `home`; a layer's keys
    and values stay on its own.
    """

    def __init__(self, model: PreTrainedModel, parts: Parts, *, adapted: bool = True) -> None:
        self.model, self.parts, self.adapted = model, parts, adapted
        self.home = device_of(model)
        self.devices = [device_of(block.whole) for block in parts.blocks]
        self.end = device_of(parts.head)
        self._thread = threading.local()

    def without_adapters(self) -> "Layerwise":
        """The same model, its LoRA adapters switched off while it is open.

        Raises ModelError if it has none.
        """
        if not adapters_in(self.model):
            raise ModelError("this model has no adapters to switch off; load it with them")
        return Layerwise(self.model, self.parts, adapted=False)

    @property
    def layers(self) -> int:
        return len(self.parts.blocks)

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Inside, the model is in evaluation mode, its attention takes lines of tokens, and its
        neurons can be seen."""

        def at_neurons(_: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
            see: See | None = getattr(self._thread, "see", None)
            return None if see is None else (see("mlp_post", args[0]), *args[1:])

        handles = [b.down.register_forward_pre_hook(at_neurons) for b in self.parts.blocks]
        try:
            with evaluating(self.model), ragged_attention(self.model), self._switched():
                yield
        finally:
            for handle in handles:
                handle.remove()

    @contextmanager
    def _switched(self) -> Iterator[None]:
        with switched_off([] if self.adapted else adapters_in(self.model)):
            yield

    def embed(self, ids: Int[Tensor, "prompt position"]) -> Float[Tensor, "prompt position width"]:
        """What the first layer reads, as the model's own forward makes it."""
        return embed(self.model, self.parts, ids).to(self.home)

    def whole(
        self,
        ids: Int[Tensor, "prompt position"],
        lengths: Int[Tensor, " prompt"],
        see: Callable[[int], See],
        *,
        patterned: bool = False,
    ) -> tuple[Stream, list[tuple[Heads, Heads]]]:
        """Whole prompts, padded on the right, through all layers, as a line of tokens.

        `see(layer)` is shown every component; `pattern` only if `patterned`. Gives the last
        layer's output, and each layer's keys and values.
        """
        layout, line = whole_prompts(lengths), self.embed(ids)
        line = line[layout.row, layout.position]
        masks: Masks = {}
        heads = []
        for layer in range(self.layers):
            ragged = Attending(layout, lengths, self.parts.causal, None, masks)
            ragged.patterned = patterned
            line = self.block(layer, see(layer)("resid_pre", line), ragged, see(layer))
            if ragged.cached is None:
                raise ModelError("attention does not go through Transformers' attention interface")
            heads.append(ragged.cached)
        return line, heads

    def block(
        self,
        layer: int,
        stream: Stream,
        ragged: Attending,
        see: See = unchanged,
        only: Bool[Tensor, " token"] | None = None,
    ) -> Stream:
        """The layer's output; with `only`, of these tokens (the others are still attended to)."""
        added = self.attention(layer, stream, ragged, see)
        if only is not None:
            stream, added = stream[only], added[only]
        return self.after_attention(layer, stream, see("attn_out", added), see)

    def attention(
        self, layer: int, stream: Stream, ragged: Attending, see: See = unchanged
    ) -> Stream:
        """What attention adds to the stream."""
        block, device = self.parts.blocks[layer], self.devices[layer]
        read = through(block.attention_norm, stream.to(device))[None]
        there = ragged if device == self.home else ragged.at(device)
        told = self.parts.positions(read, there.layout.position[None], layer)
        if see is not unchanged:
            there.see = self._at_home(layer, see)
        out = block.attention(read, attention_mask=None, ragged=there, **told)[0][0]
        ragged.cached = there.cached
        if not block.projects:
            out = block.project(out)
        return through(block.after_attention, out).to(self.home)

    def _at_home(self, layer: int, see: See) -> See:
        """Shown, on `home`, what is computed where the layer is."""
        device = self.devices[layer]
        if device == self.home:
            return see
        return lambda component, value: see(component, value.to(self.home)).to(device)

    def project(self, layer: int, z: Float[Tensor, "token heads"]) -> Stream:
        """What attention adds, from what its heads give, side by side."""
        block = self.parts.blocks[layer]
        out = block.project(z.to(self.devices[layer]))
        return through(block.after_attention, out).to(self.home)

    def after_attention(
        self, layer: int, stream: Stream, added: Stream, see: See = unchanged
    ) -> Stream:
        """The layer's output, from its input and what attention added."""
        block = self.parts.blocks[layer]
        if block.parallel:
            mlp = see("mlp_out", self.mlp(layer, stream, see))
            return see("resid_post", mlp + added + stream)  # in the model's own order of rounding
        return self.after_mid(layer, see("resid_mid", self.mid(layer, stream, added)), see)

    def mid(self, layer: int, stream: Stream, added: Stream) -> Stream:
        """The stream between attention and MLP."""
        return self._through(layer, self.parts.blocks[layer].mid_norm, stream + added)

    def _through(self, layer: int, norm: nn.Module | None, value: Stream) -> Stream:
        """A norm of the layer, from home and back."""
        if norm is None:
            return value
        return norm(value.to(self.devices[layer])).to(self.home)

    def after_mid(self, layer: int, mid: Stream, see: See = unchanged) -> Stream:
        """The layer's output, from the stream between attention and MLP."""
        return self.after_mlp(layer, mid, see("mlp_out", self.mlp(layer, mid, see)), see)

    def after_mlp(self, layer: int, mid: Stream, mlp: Stream, see: See = unchanged) -> Stream:
        """The layer's output, from what the MLP read and what it added."""
        return see("resid_post", self._through(layer, self.parts.blocks[layer].end_norm, mid + mlp))

    def mlp(self, layer: int, mid: Stream, see: See = unchanged) -> Stream:
        """What the MLP adds to the stream."""
        block = self.parts.blocks[layer]
        self._thread.see = None if see is unchanged else self._at_home(layer, see)
        try:
            read = through(block.mlp_norm, mid.to(self.devices[layer]))
            return through(block.after_mlp, block.mlp(read)).to(self.home)
        finally:
            self._thread.see = None

    def down(self, layer: int, neurons: Float[Tensor, "token neuron"]) -> Stream:
        """What the MLP adds, from its neurons' values."""
        block = self.parts.blocks[layer]
        out = block.down(neurons.to(self.devices[layer]))
        return through(block.after_mlp, out).to(self.home)

    def logits(self, stream: Stream) -> Float[Tensor, "token vocabulary"]:
        return self.parts.logits(stream.to(self.end)).to(self.home)
