"""What a model holds of a fact where a prompt names one entity, and the other entity's vector."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp_rc.mechanism.inputs import padded, read_inputs
from interp_rc.mechanism.sites import covered
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.adapters.parts import Place, through
from interp_rc.models.load import Loaded
from interp_rc.models.machine import spread
from interp_rc.records.nouns import Query

Position = Literal["source_last", "prompt_last"]
POSITIONS: tuple[Position, ...] = ("source_last", "prompt_last")
BATCH = 64

Streams = Float[np.ndarray, "fact position layer width"]


def read_streams(loaded: Loaded, queries: Sequence[Query], facts: Sequence[str]) -> Streams:
    """The residual stream as the model's last norm leaves it, averaged over each fact's queries.

    Layer 0 is the embedding, layer l the stream after l layers; positions as in POSITIONS.
    """
    adapter = Adapter(loaded.model)
    places = [Place("resid_pre", 0)]
    places += [Place("resid_post", layer) for layer in range(adapter.layers)]
    asked = sorted(queries, key=lambda q: len(q.prompt))
    batches = [asked[i : i + BATCH] for i in range(0, len(asked), BATCH)]

    @torch.no_grad()  # per thread
    def read(batch: Sequence[Query]) -> Float[Tensor, "query position layer width"]:
        inputs = read_inputs(loaded, [q.prompt for q in batch], [q.target for q in batch])
        ids, mask = padded(inputs, loaded.model.device)
        _, at = adapter.run(ids, mask, capture=places)
        rows = torch.arange(len(batch))
        source = [
            covered(i.offsets[: i.start], q.source, f"the entity of query {q.id!r}")[-1]
            for i, q in zip(inputs, batch, strict=True)
        ]
        where = [source, [i.start - 1 for i in inputs]]
        read_at = [torch.stack([at[p][rows, tokens] for p in places], 1) for tokens in where]
        return through(adapter.parts.final_norm, torch.stack(read_at, 1)).double().cpu()

    with adapter.hooked():
        found = torch.cat(list(spread(loaded.model, read, batches))).numpy()
    index = {fact: i for i, fact in enumerate(facts)}
    owner = np.array([index[q.fact] for q in asked])
    return np.stack([found[owner == i].mean(0) for i in range(len(facts))])


def entity_vectors(loaded: Loaded, entities: Sequence[str]) -> Float[np.ndarray, "entity width"]:
    """The mean of the output rows of each entity's tokens: where the model would say it."""
    rows = loaded.model.get_output_embeddings().weight.detach().double().cpu()
    encoded = loaded.tokenizer([f" {e}" for e in entities], add_special_tokens=False).input_ids
    return torch.stack([rows[ids].mean(0) for ids in encoded]).numpy()
