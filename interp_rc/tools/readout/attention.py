"""Where attention looks from the answer's position and from the source, and what it takes there."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor

from interp_rc.engine.inputs import Input, inputs_of
from interp_rc.engine.observed import Observed, observed, source_tokens
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.adapters.layerwise import Layerwise
from interp_rc.models.adapters.parts import Place
from interp_rc.models.dimensions import heads_of
from interp_rc.models.load import Loaded
from interp_rc.records.nouns import Contrast
from interp_rc.tools.readout.linear_parts import written_by_heads

QUERIES = ("answer", "source_last")
KEYS = ("source", "first", "target", "elsewhere")
COLUMNS = ["weight", "norm", "norm_share", "uniform"]


def attention(
    model: Loaded, contrasts: Sequence[Contrast], *, memory: int | None = None
) -> pd.DataFrame:
    """What each head gives to groups of tokens of the clean prompt and its target.

    One row a contrast, `query`, layer, head and `keys`. Queries: `answer`, the mean over the tokens
    that predict the target's, each after the true ones before it; `source_last`, the source's last
    token. Keys, each token in one group: the `source` (A in forward order, B in backward), the
    prompt's `first` token, the `target` so far (or its masks), and `elsewhere`.

    `weight` is the sum of the attention pattern, `uniform` what it would be if all tokens up to the
    query were looked at alike. A weight is no contribution: `norm` sums the lengths of what is
    moved, |α f(x)| (Kobayashi et al. 2020, arXiv:2004.10102), f the head's values through its slice
    of the output projection, without that one's bias; `norm_share` is its share of all keys'.

    Raises what `patch` raises, and ModelError for families without an adapter.
    """
    layers = Adapter(model.model).by_layers
    inputs = inputs_of(model, contrasts, "clean")
    sources = [source_tokens(c, one) for c, one in zip(contrasts, inputs, strict=True)]
    kept = [Place("pattern", layer) for layer in range(layers.layers)]
    found = np.zeros(
        (len(inputs), len(QUERIES), layers.layers, heads_of(model.model), len(KEYS), len(COLUMNS))
    )
    for batch in observed(layers, inputs, kept, "attention", memory):
        own = [sources[n] for n in batch.numbers]
        found[batch.numbers] = _of_batch(layers, batch, own).cpu().numpy()
    levels = [range(n) for n in found.shape[:-1]]
    names = ["number", "query", "layer", "head", "keys"]
    index = pd.MultiIndex.from_product(levels, names=names)
    table = pd.DataFrame(found.reshape(-1, len(COLUMNS)), index, COLUMNS).reset_index()
    table["query"] = np.array(QUERIES)[table["query"]]
    table["keys"] = np.array(KEYS)[table["keys"]]
    for n, (column, field) in enumerate((("pair", "id"), ("fact", "fact"), ("order", "order"))):
        values = np.array([getattr(c, field) for c in contrasts], dtype=object)
        table.insert(n, column, values[table.number])
    return table.drop(columns="number")


def _of_batch(
    layers: Layerwise, batch: Observed, sources: Sequence[list[int]]
) -> Float[Tensor, "prompt query layer head keys column"]:
    cached = batch.cached
    groups = _groups(batch, sources)
    uniform_of = groups.cumsum(1) if layers.parts.causal else groups.sum(1, keepdim=True)
    by_query = []
    for positions in ([one.reads for one in batch.inputs], [[s[-1]] for s in sources]):
        at = batch.at(positions)
        share = torch.tensor([1 / len(p) for p in positions for _ in p], device=at[0].device)
        by_layer = []
        for layer in range(layers.layers):
            weights = cached.at[Place("pattern", layer)][at].double()  # query, head, key
            moved = weights * _lengths(layers, batch, layer)[at[0]]
            seen = uniform_of[at[0], at[1] if layers.parts.causal else 0]
            uniform = (seen / seen.sum(-1, keepdim=True))[:, None].expand(-1, weights.shape[1], -1)
            norms = moved @ groups[at[0]]
            columns = [
                weights @ groups[at[0]],
                norms,
                norms / norms.sum(-1, keepdim=True).clamp(min=1e-30),
                uniform,
            ]
            each = torch.stack(columns, -1) * share[:, None, None, None]
            mean = each.new_zeros(len(batch.inputs), *each.shape[1:]).index_add(0, at[0], each)
            by_layer.append(mean)
        by_query.append(torch.stack(by_layer, 1))
    return torch.stack(by_query, 1)


def _groups(batch: Observed, sources: Sequence[list[int]]) -> Float[Tensor, "prompt position keys"]:
    """One for the group that a token belongs to."""
    device = batch.cached.lengths.device
    found = torch.zeros(len(sources), batch.cached.positions, len(KEYS), dtype=torch.float64)
    for row, (one, source) in enumerate(zip(batch.inputs, sources, strict=True)):
        length = int(batch.cached.lengths[row])
        for position in range(length):
            found[row, position, KEYS.index(_group(one, source, position))] = 1
    return found.to(device)


def _group(one: Input, source: Sequence[int], position: int) -> str:
    if position in source:
        return "source"
    if position >= one.start or (one.start == len(one.ids) and position in one.reads):
        return "target"
    return "first" if position == 0 else "elsewhere"


def _lengths(
    layers: Layerwise, batch: Observed, layer: int
) -> Float[Tensor, "prompt head position"]:
    """Of what each head would move from each token, if it looked at nothing else."""
    values = batch.cached.heads[layer][1].to(layers.home)
    times = heads_of(layers.model) // values.shape[2]
    line = repeat(
        values, "prompt position head width -> (prompt position) (head times width)", times=times
    )
    found = [part.double().norm(dim=-1) for part in written_by_heads(layers, layer, line)]
    return rearrange(found, "head (prompt position) -> prompt head position", prompt=len(values))
