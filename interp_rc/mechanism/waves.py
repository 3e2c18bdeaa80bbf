"""Continue cached prompts from changed activations: nothing below, nothing before is computed.

A change at layer l and position t changes nothing in lower layers and, in a causal model, nothing
before t. So a row begins at its change with the cached stream, meets the cached keys and values of
what stands before it, and rows that begin at different layers go up together from there. The last
layer is computed only where the metric reads. All this is exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp_rc.mechanism.inputs import Input
from interp_rc.models.adapters.layerwise import Layerwise, Stream
from interp_rc.models.adapters.ragged import Attending, Heads, Layout, lay_out, ragged_attention

Stored = Float[Tensor, "prompt position width"]


@dataclass(slots=True)
class Cached:
    """Every layer of some prompts with their targets (but the last token, which nothing reads).

    `stream[l]` is what layer l reads, `stream[layers]` the last one's output.
    """

    ids: Int[Tensor, "prompt position"]
    lengths: Int[Tensor, " prompt"]
    starts: Int[Tensor, " prompt"]  # the target's first token
    stream: list[Stored]
    attention: list[Stored]
    mlp: list[Stored]
    heads: list[tuple[Heads, Heads]]


class Entry(NamedTuple):
    """Rows that begin at one layer: prompts, first positions, and new values of its input."""

    base: Int[Tensor, " row"]
    first: Int[Tensor, " row"]
    row: Int[Tensor, " edit"]
    position: Int[Tensor, " edit"]
    values: Float[Tensor, "edit width"]


def cache(layers: Layerwise, inputs: Sequence[Input]) -> Cached:
    """Run the prompts once, whole, keeping everything that rows may begin from."""
    device = layers.model.device
    ids = torch.nn.utils.rnn.pad_sequence(
        [torch.tensor(one.ids) for one in inputs], batch_first=True
    ).to(device)
    lengths = torch.tensor([len(one.ids) - 1 for one in inputs], device=device)
    starts = torch.tensor([one.start for one in inputs], device=device)
    every = torch.arange(len(inputs), device=device)
    layout = lay_out(every, torch.zeros_like(every), lengths)
    positions = int(lengths.max())
    line = layers.embed(ids)[layout.row, layout.position]
    found = Cached(ids, lengths, starts, [], [], [], [])

    def keep(where: list[Stored], value: Stream) -> None:
        whole = value.new_zeros(len(inputs), positions, value.shape[-1])
        whole[layout.row, layout.position] = value
        where.append(whole)

    masks: dict[int | None, Tensor] = {}
    with ragged_attention(layers.model):
        for layer in range(layers.layers):
            keep(found.stream, line)
            ragged = Attending(layout, positions, None, masks)
            added = layers.attention(layer, line, ragged)
            keep(found.attention, added)
            line, mlp = layers.add(layer, line, added)
            keep(found.mlp, mlp)
            assert ragged.cached is not None
            found.heads.append(ragged.cached)
    keep(found.stream, line)
    return found


def rise(
    layers: Layerwise, cached: Cached, entries: Sequence[Entry | None]
) -> Float[Tensor, " row"]:
    """The target's log-probability in every row, entry after entry; nats, in float64.

    `entries[l]` begin at layer l, `entries[layers]` behind the last one.
    """
    line: Stream | None = None
    base = first = cached.lengths.new_zeros(0)
    layout: Layout | None = None
    masks: dict[int | None, Tensor] = {}
    with ragged_attention(layers.model):
        for layer, entry in enumerate(entries):
            if entry is not None:
                new = _begin(cached, layer, entry)
                line = new if line is None else torch.cat([line, new])
                base, first = torch.cat([base, entry.base]), torch.cat([first, entry.first])
                layout, masks = lay_out(base, first, cached.lengths), {}
            if layer == layers.layers or line is None or layout is None:
                continue
            ragged = Attending(layout, int(cached.lengths.max()), cached.heads[layer], masks)
            added = layers.attention(layer, line, ragged)
            if layer == layers.layers - 1 and entries[-1] is None:
                read = _is_read(cached, layout)
                line, added = line[read], added[read]
            line, _ = layers.add(layer, line, added)
    assert line is not None and layout is not None
    read = _is_read(cached, layout)
    if entries[-1] is not None:
        line = line[read]
    return _log_probs(layers, cached, layout, read, line)


def _begin(cached: Cached, layer: int, entry: Entry) -> Stream:
    layout = lay_out(entry.base, entry.first, cached.lengths)
    line = cached.stream[layer][entry.base[layout.row], layout.position]
    begins = torch.zeros_like(entry.first)
    counts = cached.lengths[entry.base] - entry.first
    begins[1:] = counts.cumsum(0)[:-1]
    line[begins[entry.row] + entry.position - entry.first[entry.row]] = entry.values.to(line)
    return line


def _is_read(cached: Cached, layout: Layout) -> Tensor:
    """Tokens that predict one of the target."""
    return layout.position >= cached.starts[layout.base[layout.row]] - 1


def _log_probs(
    layers: Layerwise, cached: Cached, layout: Layout, read: Tensor, line: Stream
) -> Float[Tensor, " row"]:
    row, position = layout.row[read], layout.position[read]
    target = cached.ids[layout.base[row], position + 1]
    logits = layers.logits(line)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    found = logits.gather(-1, target[:, None])[:, 0] - logits.logsumexp(-1)
    return torch.zeros(layout.rows, dtype=torch.float64, device=found.device).index_add(
        0, row, found.double()
    )
