"""Streams at the entity that a prompt names."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel

from interp_rc.engine.inputs import read_inputs
from interp_rc.engine.sites import covered
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.adapters.parts import Place
from interp_rc.models.batching import pad
from interp_rc.models.load import Loaded
from interp_rc.records.nouns import Query


@torch.no_grad()
def streams_at_source(
    loaded: Loaded, adapter: Adapter, queries: Sequence[Query]
) -> Float[Tensor, "query stream width"]:
    """At the last token of each prompt's entity: its embedding, then the stream after layers."""
    model: PreTrainedModel = loaded.model
    rows, last = [], []
    read = read_inputs(loaded, [q.prompt for q in queries], [q.target for q in queries])
    for query, one in zip(queries, read, strict=True):
        what = f"the entity of query {query.id!r}"
        end = covered(one.offsets[: one.start], query.source, what)[-1]
        # Nothing after it reaches it, so nothing after it is read.
        rows.append(one.ids[: end + 1])
        last.append(end)
    places = [Place("resid_pre", 0), *(Place("resid_post", i) for i in range(adapter.layers))]
    ids, mask = pad(rows, model.device)
    with adapter.hooked():
        _, at = adapter.run(ids, mask, capture=places)
    each = torch.arange(len(queries))
    return torch.stack([at[place][each, last] for place in places], dim=1).double().cpu()
