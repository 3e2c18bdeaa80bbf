"""What a model holds of a fact where a prompt names one entity, and the other entity's vector."""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp_rc.engine.inputs import Input, read_inputs
from interp_rc.engine.sites import covered
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.adapters.parts import Place, through
from interp_rc.models.batching import at_most, batch_by_length, pad
from interp_rc.models.load import Loaded
from interp_rc.models.machine import spread
from interp_rc.records.nouns import Query

Position = Literal["source_first", "source_last", "source_mean", "prompt_last"]
POSITIONS: tuple[Position, ...] = ("source_last", "prompt_last")
EVERYWHERE: tuple[Position, ...] = get_args(Position)
BATCH = 64

Streams = Float[np.ndarray, "fact position layer width"]


def read_streams(
    loaded: Loaded,
    queries: Sequence[Query],
    facts: Sequence[str],
    positions: Sequence[Position] = POSITIONS,
) -> Streams:
    """The residual stream as the model's last norm leaves it, averaged over each fact's queries.

    Layer 0 is the embedding, layer l the stream after l layers. `prompt_last` is where the
    target's first token is predicted, `source_mean` the mean over the tokens of the source.
    """
    adapter = Adapter(loaded.model)
    places = [Place("resid_pre", 0)]
    places += [Place("resid_post", layer) for layer in range(adapter.layers)]
    inputs = read_inputs(loaded, [q.prompt for q in queries], [q.target for q in queries])
    batches = batch_by_length(loaded.model, [one.start for one in inputs], at_most(BATCH))

    @torch.no_grad()  # per thread
    def read(batch: Sequence[int]) -> Float[Tensor, "query position layer width"]:
        some = [inputs[n] for n in batch]
        # What comes after is not looked at, and a causal model does not look at it either.
        ids, mask = pad([one.ids[: one.start] for one in some], loaded.model.device)
        _, at = adapter.run(ids, mask, capture=places)
        weights = _weights(some, [queries[n] for n in batch], positions, ids.shape[1])
        found = []
        for place in places:
            stream = through(adapter.parts.final_norm, at[place])
            stream = stream.to(torch.promote_types(stream.dtype, torch.float32))
            found.append(weights.to(stream) @ stream)
        return torch.stack(found, 2).double().cpu()

    with adapter.hooked():
        found = torch.cat(list(spread(loaded.model, read, batches))).numpy()
    index = {fact: i for i, fact in enumerate(facts)}
    owner = np.array([index[queries[n].fact] for batch in batches for n in batch])
    return np.stack([found[owner == i].mean(0) for i in range(len(facts))])


def _weights(
    inputs: Sequence[Input], queries: Sequence[Query], positions: Sequence[Position], length: int
) -> Float[Tensor, "query position token"]:
    """Which tokens each position means the stream of."""
    weights = torch.zeros(len(inputs), len(positions), length, dtype=torch.float64)
    for row, (one, query) in enumerate(zip(inputs, queries, strict=True)):
        source = covered(
            one.offsets[: one.start], query.source, f"the entity of query {query.id!r}"
        )
        tokens: dict[Position, list[int]] = {
            "source_first": source[:1],
            "source_last": source[-1:],
            "source_mean": source,
            "prompt_last": one.reads[:1],
        }
        for column, position in enumerate(positions):
            weights[row, column, tokens[position]] = 1 / len(tokens[position])
    return weights


def entity_vectors(loaded: Loaded, entities: Sequence[str]) -> Float[np.ndarray, "entity width"]:
    """The mean of the output rows of each entity's tokens: where the model would say it."""
    rows = loaded.model.get_output_embeddings().weight.detach().double().cpu()
    encoded = loaded.tokenizer([f" {e}" for e in entities], add_special_tokens=False).input_ids
    return torch.stack([rows[ids].mean(0) for ids in encoded]).numpy()
