"""Patches as rows of waves: what each puts into the stream, and how many go up together."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from interp_rc.mechanism.waves import Cached, Entry, rise
from interp_rc.models.adapters.layerwise import Layerwise
from interp_rc.models.adapters.parts import Place
from interp_rc.models.machine import spread

TOKENS = 2000
"""Of one wave, at the most, if its rows are shorter: more no longer make a core faster."""


class Patch(NamedTuple):
    """An activation of the giving prompt `base` at `reads`, put into the taking one at `writes`."""

    key: tuple[int, int]
    place: Place
    base: int
    reads: Sequence[int]
    writes: Sequence[int]


class _Row(NamedTuple):
    patch: Patch
    layer: int  # whose input it changes
    values: Float[Tensor, "edit width"]

    @property
    def first(self) -> int:
        return min(self.patch.writes)


def continued(
    layers: Layerwise, giving: Cached, taking: Cached, patches: Sequence[Patch], bar: tqdm
) -> Iterator[tuple[Patch, float]]:
    """Each patch with the log-probability of the target that it leads to, in nats."""
    rows = [
        row
        for place, some in _by_place(patches)
        for row in _rows(layers, giving, taking, place, some)
    ]

    def work(wave: Sequence[_Row]) -> list[tuple[Patch, float]]:
        with torch.no_grad():  # per thread
            entries = [
                _entry([r for r in wave if r.layer == at], taking)
                for at in range(layers.layers + 1)
            ]
            values = rise(layers, taking, entries).tolist()
        bar.update(len(wave))
        return list(zip((r.patch for r in wave), values, strict=True))

    for done in spread(layers.model, work, _waves(rows, taking)):
        yield from done


def _by_place(patches: Sequence[Patch]) -> Iterator[tuple[Place, list[Patch]]]:
    for place in dict.fromkeys(patch.place for patch in patches):
        yield place, [patch for patch in patches if patch.place == place]


def _rows(
    layers: Layerwise, giving: Cached, taking: Cached, place: Place, patches: Sequence[Patch]
) -> Iterator[_Row]:
    """What the patches at one place make of the stream that the next layer reads."""
    counts = [len(patch.reads) for patch in patches]
    device = taking.lengths.device
    base = torch.tensor(
        [p.base for p, n in zip(patches, counts, strict=True) for _ in range(n)], device=device
    )
    read = torch.tensor([t for p in patches for t in p.reads], device=device)
    write = torch.tensor([t for p in patches for t in p.writes], device=device)
    component, layer = place

    def given(stored: Sequence[Float[Tensor, "prompt position width"]], at: int) -> Tensor:
        return stored[at][base, read]

    stream, attention = (one[layer][base, write] for one in (taking.stream, taking.attention))
    enters = layer + 1
    match component:
        case "resid_pre":
            values, enters = given(giving.stream, layer), layer
        case "resid_post":
            values = given(giving.stream, layer + 1)
        case "attn_out":
            values, _ = layers.add(layer, stream, given(giving.attention, layer))
        case "resid_mid":
            middle = given(giving.stream, layer) + given(giving.attention, layer)
            values, _ = layers.add(layer, stream, middle - stream)
        case "mlp_out":
            values = stream + attention + given(giving.mlp, layer)
    for patch, some in zip(patches, torch.split(values, counts), strict=True):
        yield _Row(patch, enters, some)


def _waves(rows: Sequence[_Row], taking: Cached) -> list[list[_Row]]:
    """Rows of like length together, from the lowest layer up; each wave has TOKENS at the most."""
    lengths = taking.lengths.tolist()
    sizes = {id(row): lengths[row.patch.base] - row.first for row in rows}
    waves: list[list[_Row]] = []
    room = 0
    for row in sorted(rows, key=lambda row: sizes[id(row)]):
        if sizes[id(row)] > room:
            waves.append([])
            room = TOKENS
        waves[-1].append(row)
        room -= sizes[id(row)]
    return [sorted(wave, key=lambda row: row.layer) for wave in waves]


def _entry(rows: Sequence[_Row], taking: Cached) -> Entry | None:
    if not rows:
        return None
    device = taking.lengths.device
    return Entry(
        base=torch.tensor([row.patch.base for row in rows], device=device),
        first=torch.tensor([row.first for row in rows], device=device),
        row=torch.tensor(
            [n for n, row in enumerate(rows) for _ in row.patch.writes], device=device
        ),
        position=torch.tensor([t for row in rows for t in row.patch.writes], device=device),
        values=torch.cat([row.values for row in rows]),
    )
