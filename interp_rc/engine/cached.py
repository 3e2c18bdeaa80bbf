"""Prompts run once, whole, keeping all that rows may begin from or take values from."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp_rc.engine.inputs import Input
from interp_rc.engine.metrics import Asked
from interp_rc.models.adapters.layerwise import Layerwise
from interp_rc.models.adapters.parts import Component, Place
from interp_rc.models.adapters.ragged import Heads, Layout, whole_prompts
from interp_rc.models.batching import pad

Stored = Float[Tensor, "prompt position ..."]


@dataclass(slots=True)
class Cached:
    """Some prompts with their targets, at every layer.

    `stream[l]` is what layer l reads, `stream[layers]` the last one's output. `at` holds the other
    components that were asked for.
    """

    lengths: Int[Tensor, " prompt"]
    asked: Asked
    stream: list[Stored]
    heads: list[tuple[Heads, Heads]]
    at: dict[Place, Stored]
    ids: Int[Tensor, "prompt position"]
    noised: Float[Tensor, "prompt position width"] | None = None  # what layer 0 reads instead

    @property
    def positions(self) -> int:
        """Of the longest prompt."""
        return self.asked.read.shape[1]

    def values(self, place: Place, base: Tensor, position: Tensor) -> Tensor:
        """At tokens of prompts."""
        component, layer = place
        if place not in self.at and component in ("resid_pre", "resid_post"):
            stored = self.stream[layer + (component == "resid_post")]
        else:
            stored = self.at[place]
        return stored[base.to(stored.device), position.to(stored.device)].to(base.device)


def cache(
    layers: Layerwise,
    inputs: Sequence[Input],
    keep: Collection[Place] = (),
    noise: Float[Tensor, "prompt position width"] | None = None,
) -> Cached:
    """Run the prompts, keeping the stream, keys and values, and the places of `keep`.

    `noise` is added to what the first layer reads.
    """
    device = layers.home
    ids, _ = pad([one.ids for one in inputs], device)
    # What a causal model's last token becomes, nothing reads.
    lengths = torch.tensor([len(one.ids) - layers.parts.causal for one in inputs], device=device)
    layout, shape = whole_prompts(lengths), (len(inputs), int(lengths.max()))
    at: dict[Place, Stored] = {}

    def keep_value(layer: int, component: Component, value: Tensor) -> Tensor:
        place = Place(component, layer)
        if place == Place("resid_pre", 0) and noise is not None:
            value = value + noise.to(value)[layout.row, layout.position]
        if place in keep or component == "resid_pre":
            at[place] = _by_prompt(value, layout, shape)
        return value

    patterned = any(place.component == "pattern" for place in keep)
    last, heads = layers.whole(
        ids, lengths, lambda layer: partial(keep_value, layer), patterned=patterned
    )
    stream = [at.pop(Place("resid_pre", layer)) for layer in range(layers.layers)]
    stream.append(_by_prompt(last, layout, shape))
    return Cached(lengths, Asked.of(inputs, shape[1], device), stream, heads, at, ids)


def _by_prompt(line: Tensor, layout: Layout, shape: tuple[int, int]) -> Stored:
    """A line of all prompts' tokens as (prompt, position), zero behind their ends."""
    whole = line.new_zeros(*shape, *line.shape[1:])
    whole[layout.row, layout.position] = line
    return whole
