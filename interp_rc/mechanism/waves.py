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
from interp_rc.models.adapters.ragged import Attending, Heads, Layout, lay_out

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

    @property
    def positions(self) -> int:
        """Of the longest prompt."""
        return self.stream[0].shape[1]


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
    *within, behind = entries
    found = []
    if any(entry is not None for entry in within):
        found.append(_up(layers, cached, within))
    if behind is not None:
        layout = lay_out(behind.base, behind.first, cached.lengths)
        read = _is_read(cached, layout)
        line = _begin(cached, layers.layers, behind, layout)[read]
        found.append(_log_probs(layers, cached, layout, read, line))
    return torch.cat(found)


def _up(
    layers: Layerwise, cached: Cached, entries: Sequence[Entry | None]
) -> Float[Tensor, " row"]:
    """The rows that begin within the layers: each joins at its own, and all go up together."""
    line = cached.stream[0].new_zeros(0, cached.stream[0].shape[-1])
    base = first = cached.lengths.new_zeros(0)
    layout = lay_out(base, first, cached.lengths)
    masks: dict[int | None, Tensor] = {}
    for layer, entry in enumerate(entries):
        if entry is not None:
            joining = lay_out(entry.base, entry.first, cached.lengths)
            line = torch.cat([line, _begin(cached, layer, entry, joining)])
            base, first = torch.cat([base, entry.base]), torch.cat([first, entry.first])
            layout, masks = lay_out(base, first, cached.lengths), {}
        if not len(line):
            continue
        ragged = Attending(layout, cached.positions, cached.heads[layer], masks)
        added = layers.attention(layer, line, ragged)
        if layer == layers.layers - 1:
            read = _is_read(cached, layout)
            line, added = line[read], added[read]
        line, _ = layers.add(layer, line, added)
    return _log_probs(layers, cached, layout, read, line)


def log_probs(layers: Layerwise, cached: Cached) -> Float[Tensor, " prompt"]:
    """The target's log-probability in every cached prompt; nats, in float64."""
    layout = lay_out(torch.arange(len(cached.lengths)), cached.starts - 1, cached.lengths)
    line = cached.stream[-1][layout.base[layout.row], layout.position]
    return _log_probs(layers, cached, layout, torch.ones_like(layout.row, dtype=torch.bool), line)


def _begin(cached: Cached, layer: int, entry: Entry, layout: Layout) -> Stream:
    """The cached stream of the entry's rows, with their new values."""
    line = cached.stream[layer][entry.base[layout.row], layout.position]
    begins = torch.searchsorted(layout.row, torch.arange(layout.rows, device=line.device))
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
