"""What every layer's MLP reads and writes where an entity stands, on average over prompts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp_rc.engine.cached import Cached, cache
from interp_rc.engine.inputs import Input, read_inputs
from interp_rc.engine.sites import covered
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.adapters.layerwise import Layerwise
from interp_rc.models.adapters.parts import Component, Place, through
from interp_rc.models.batching import at_most, batch_by_length
from interp_rc.models.load import Loaded
from interp_rc.records.nouns import Query

BATCH = 64
PER_LAYER: tuple[Component, ...] = ("mlp_out", "mlp_post")


@dataclass(frozen=True, slots=True)
class Memory:
    """At the last token of the prompt's entity: `keys` is what the MLP reads (after its norm),
    `coefficients` what its neurons have, `values` what it writes."""

    keys: Float[np.ndarray, "fact layer width"]
    coefficients: Float[np.ndarray, "fact layer neuron"]
    values: Float[np.ndarray, "fact layer width"]


def read_memory(model: Loaded, queries: Sequence[Query], facts: Sequence[str]) -> Memory:
    """Of every fact, the mean over its queries. Raises ModelError for an unknown family."""
    runs = Adapter(model.model).by_layers
    inputs = read_inputs(model, [q.prompt for q in queries], [q.target for q in queries])
    batches = batch_by_length(model.model, [len(one.ids) for one in inputs], at_most(BATCH))
    found = [_read(runs, [inputs[n] for n in some], [queries[n] for n in some]) for some in batches]
    index = {fact: i for i, fact in enumerate(facts)}
    owner = np.array([index[queries[n].fact] for some in batches for n in some])

    def mean(part: int) -> np.ndarray:
        whole = torch.cat([batch[part] for batch in found]).numpy()
        return np.stack([whole[owner == i].mean(0) for i in range(len(facts))])

    return Memory(mean(0), mean(1), mean(2))


@torch.no_grad()
def _read(
    runs: Layerwise, inputs: Sequence[Input], queries: Sequence[Query]
) -> tuple[Tensor, Tensor, Tensor]:
    tokens = torch.tensor(
        [
            covered(i.offsets[: i.start], q.source, f"the entity of query {q.id!r}")[-1]
            for i, q in zip(inputs, queries, strict=True)
        ],
        device=runs.home,
    )
    read = [_read_by_mlp(runs, layer) for layer in range(runs.layers)]
    kept = [Place(c, layer) for c in PER_LAYER for layer in range(runs.layers)]
    with runs.opened():
        cached = cache(runs, inputs, {*read, *kept})
        keys = [
            through(runs.parts.blocks[place.layer].mlp_norm, _at(cached, place, tokens))
            for place in read
        ]
    coefficients, values = (
        [_at(cached, Place(component, layer), tokens) for layer in range(runs.layers)]
        for component in ("mlp_post", "mlp_out")
    )
    return _stacked(keys), _stacked(coefficients), _stacked(values)


def _read_by_mlp(runs: Layerwise, layer: int) -> Place:
    """The stream that the layer's MLP reads, before its norm."""
    return Place("resid_pre" if runs.parts.blocks[layer].parallel else "resid_mid", layer)


def _at(cached: Cached, place: Place, tokens: Int[Tensor, " prompt"]) -> Float[Tensor, "prompt w"]:
    return cached.values(place, torch.arange(len(tokens), device=tokens.device), tokens)


def _stacked(layers: Sequence[Tensor]) -> Float[Tensor, "prompt layer w"]:
    return torch.stack([one.double().cpu() for one in layers], 1)
