"""What every layer's MLP reads and writes where an entity stands, on average over prompts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp_rc.engine.inputs import read_inputs
from interp_rc.engine.observed import observed
from interp_rc.engine.sites import covered
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.adapters.layerwise import Layerwise
from interp_rc.models.adapters.parts import Place, through
from interp_rc.models.load import Loaded
from interp_rc.records.nouns import Query


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
    sources = [
        covered(one.offsets[: one.start], query.source, f"the entity of query {query.id!r}")
        for one, query in zip(inputs, queries, strict=True)
    ]
    layers = range(runs.layers)
    read = [_read_by_mlp(runs, layer) for layer in layers]
    neurons = [Place("mlp_post", layer) for layer in layers]
    written = [Place("mlp_out", layer) for layer in layers]
    found: list[list[Tensor]] = []
    owner: list[str] = []
    for batch in observed(runs, inputs, {*read, *neurons, *written}, "memories"):
        at = batch.at([sources[n][-1:] for n in batch.numbers])
        owner += [queries[n].fact for n in batch.numbers]
        held = [
            [batch.cached.values(p, *at) for p in places] for places in (read, neurons, written)
        ]
        norms = [block.mlp_norm for block in runs.parts.blocks]
        held[0] = [through(norm, one) for norm, one in zip(norms, held[0], strict=True)]
        found.append([torch.stack([one.double().cpu() for one in part], 1) for part in held])
    keys, coefficients, values = (torch.cat(parts).numpy() for parts in zip(*found, strict=True))

    def mean(of_query: np.ndarray) -> np.ndarray:
        return np.stack([of_query[np.array(owner) == fact].mean(0) for fact in facts])

    return Memory(mean(keys), mean(coefficients), mean(values))


def _read_by_mlp(runs: Layerwise, layer: int) -> Place:
    """The stream that the layer's MLP reads, before its norm."""
    return Place("resid_pre" if runs.parts.blocks[layer].parallel else "resid_mid", layer)
