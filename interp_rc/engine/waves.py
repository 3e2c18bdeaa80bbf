"""Continue cached prompts from changed activations: nothing below, nothing before is computed.

A change at layer l and position t changes nothing in lower layers and, in a causal model, nothing
before t. So a row begins at its change with the cached stream, meets the cached keys and values of
what stands before it, and rows that begin at different layers go up together from there. The last
layer is computed only where the metric reads. All this is exact.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp_rc.engine.cached import Cached
from interp_rc.engine.metrics import Unembeds, measured
from interp_rc.engine.names import Metric
from interp_rc.models.adapters.layerwise import Layerwise, See, Stream, unchanged
from interp_rc.models.adapters.parts import Component, Place
from interp_rc.models.adapters.ragged import Attending, Layout, Masks, lay_out
from interp_rc.models.dimensions import heads_of

Unit = int | None
"""A head (of `z`, `pattern`) or a neuron (of `mlp_post`); None: all there is."""


class Change(NamedTuple):
    """Values that stand at some positions of one place of a row."""

    place: Place
    positions: Sequence[int]
    values: Float[Tensor, "position ..."]
    unit: Unit = None


@dataclass(slots=True)
class Row:
    """A cached prompt, continued from position `first` of what `layer` reads.

    `values` stand there at `positions`; the `changes` follow on the way up. In the layers of
    `blocked` its queries (positions) do not see the keys (positions). With a `parent`, it is like
    that row up to there.
    """

    base: int
    layer: int
    first: int
    positions: Sequence[int]
    values: Float[Tensor, "position width"]
    changes: Sequence[Change] = ()
    blocked: Mapping[int, tuple[Sequence[int], Sequence[int]]] = field(default_factory=dict)
    parent: "Row | None" = None


class _Line:
    """Rows under way: one line of tokens, and which rows they are."""

    def __init__(self, layers: Layerwise, cached: Cached) -> None:
        self.layers, self.cached = layers, cached
        self.rows: list[Row] = []
        self.stream = cached.stream[0].new_zeros(0, cached.stream[0].shape[-1])
        self.layout = self._layout([])
        self.masks: Masks = {}

    def join(self, layer: int, rows: Sequence[Row]) -> None:
        """Rows that begin with what `layer` reads."""
        own = [row for row in rows if row.parent is None]
        forks = [row for row in rows if row.parent is not None]
        joining = self._layout(own)
        stream = self.cached.stream[layer][joining.base[joining.row], joining.position]
        begins = joining.begins.tolist()
        places = [begins[n] + t - row.first for n, row in enumerate(own) for t in row.positions]
        if places:
            stream[places] = torch.cat([row.values for row in own]).to(stream)
        self.stream = torch.cat([self.stream, *self._of_parents(forks), stream])
        self.rows += [*forks, *own]
        self.layout, self.masks = self._layout(self.rows), {}

    def _of_parents(self, forks: Sequence[Row]) -> list[Stream]:
        if not forks:
            return []
        lines = dict(zip(map(id, self.rows), self._lines(), strict=True))
        return [lines[id(row.parent)] for row in forks]

    def _lines(self) -> tuple[Stream, ...]:
        """The stream of each row."""
        counts = torch.bincount(self.layout.row, minlength=len(self.rows)).tolist()
        return torch.split(self.stream, counts)

    def _layout(self, rows: Sequence[Row]) -> Layout:
        device = self.cached.lengths.device
        base = torch.tensor([row.base for row in rows], dtype=torch.long, device=device)
        first = torch.tensor([row.first for row in rows], dtype=torch.long, device=device)
        return lay_out(base, first, self.cached.lengths)

    def up(self, layer: int) -> None:
        """Through one layer; the last one only where the metric reads."""
        heads = self.cached.heads[layer] if self.layers.parts.causal else None
        ragged = Attending(
            self.layout, self.cached.lengths, self.layers.parts.causal, heads, self.masks
        )
        only = self.is_read() if layer == self.layers.layers - 1 else None
        see: See = unchanged
        if any(row.changes or row.blocked for row in self.rows):
            self._block(ragged, layer)
            see = self._see(layer, ragged, only)
        self.stream = self.layers.block(layer, self.stream, ragged, see, only)

    def is_read(self) -> Bool[Tensor, " token"]:
        return self.cached.asked.read[self.layout.base[self.layout.row], self.layout.position]

    def _block(self, ragged: Attending, layer: int) -> None:
        """Hide keys from queries, in the rows that ask for it in this layer."""
        for number, row in enumerate(self.rows):
            if layer in row.blocked:
                if ragged.blocked is None:
                    shape = (self.layout.rows, self.layout.longest, ragged.positions)
                    ragged.blocked = torch.zeros(shape, dtype=torch.bool, device=ragged.device)
                queries, keys = row.blocked[layer]
                slots = torch.tensor([t - row.first for t in queries])
                ragged.blocked[number, slots[:, None], torch.tensor(keys)] = True

    def _see(self, layer: int, ragged: Attending, only: Tensor | None) -> See:
        """What the rows' later changes put in place of components of this layer."""
        begins = self.layout.begins.tolist()
        changes: dict[tuple[Component | str, Unit], list[tuple[list[int], Tensor]]] = {}
        for number, row in enumerate(self.rows):
            for place, positions, values, unit in row.changes:
                if place.layer == layer:
                    tokens = [begins[number] + t - row.first for t in positions]
                    changes.setdefault((place.component, unit), []).append((tokens, values))
        if not changes:
            return unchanged
        ragged.patterned = any(component == "pattern" for component, _ in changes)

        def see(component: Component, value: Tensor) -> Tensor:
            for (changed, unit), some in changes.items():
                if changed == component:
                    tokens = torch.tensor([t for one, _ in some for t in one], device=value.device)
                    values = torch.cat([values for _, values in some]).to(value)
                    if only is not None and component not in ("z", "pattern"):
                        kept = only[tokens]
                        tokens, values = (only.cumsum(0) - 1)[tokens[kept]], values[kept]
                    value = replaced(value, tokens, values, component, unit, self.layers)
            return value

        return see


def replaced(
    value: Tensor,
    tokens: Int[Tensor, " change"],
    new: Tensor,
    component: Component | str,
    unit: Unit,
    layers: Layerwise,
) -> Tensor:
    """The value with other ones at some tokens, whole or of one head or neuron."""
    value = value.clone()
    value[tokens] = blended(value[tokens], new, component, unit, heads_of(layers.model))
    return value


def blended(old: Tensor, new: Tensor, component: Component | str, unit: Unit, heads: int) -> Tensor:
    """The old values, with the unit's taken from the new ones."""
    if unit is None:
        return new
    if component == "z":
        old, new = (
            rearrange(one, "token (head width) -> token head width", head=heads)
            for one in (old, new)
        )
    old = old.clone()
    old[:, unit] = new[:, unit]  # a head, a head's pattern, a neuron
    return rearrange(old, "token head width -> token (head width)") if component == "z" else old


def rise(
    layers: Layerwise, cached: Cached, rows: Sequence[Row], metric: Metric
) -> Float[Tensor, " row"]:
    """The metric of every row, in float64."""
    line = _Line(layers, cached)
    for layer in range(layers.layers):
        joining = [row for row in rows if row.layer == layer]
        if joining:
            line.join(layer, joining)
        if line.rows:
            line.up(layer)
    behind = _Line(layers, cached)
    behind.join(layers.layers, [row for row in rows if row.layer == layers.layers])
    behind.stream = behind.stream[behind.is_read()]
    number = {id(row): n for n, row in enumerate([*line.rows, *behind.rows])}
    found = torch.cat([_metric(one, metric) for one in (line, behind) if one.rows])
    return found[[number[id(row)] for row in rows]]


def unpatched(layers: Unembeds, cached: Cached, metric: Metric) -> Float[Tensor, " prompt"]:
    """The metric of every cached prompt, in float64."""
    prompt, position = cached.asked.read.nonzero(as_tuple=True)
    stream = cached.stream[-1][prompt, position]
    every = len(cached.lengths)
    return measured(metric, layers, cached.asked, stream, (prompt, position), prompt, every)


def _metric(line: _Line, metric: Metric) -> Float[Tensor, " row"]:
    """Of rows that have come through the last layer, where they are read."""
    read, layout = line.is_read(), line.layout
    row = layout.row[read]
    at = (layout.base[row], layout.position[read])
    return measured(metric, line.layers, line.cached.asked, line.stream, at, row, layout.rows)
