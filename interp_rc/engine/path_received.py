"""What receivers become when senders reach them along the residual stream, and nothing else moves.

The stream is a sum. If everything between a sender and a receiver is held at its value in the
taking run, the receiver reads that run's stream plus what the sender's exchange adds to it, at the
sender's tokens. So nothing between the two need be run.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp_rc.engine.cached import Cached
from interp_rc.engine.cases import Batch, BothRuns
from interp_rc.engine.memory import Budget
from interp_rc.engine.path_planning import ATTENDING, sent_tokens
from interp_rc.engine.sites import Site
from interp_rc.engine.steps import Token
from interp_rc.engine.waves import blended
from interp_rc.models.adapters.layerwise import Layerwise, See, Stream
from interp_rc.models.adapters.parts import Component, Place
from interp_rc.models.adapters.ragged import Attending, lay_out
from interp_rc.models.dimensions import heads_of

Values = tuple[Float[Tensor, "token ..."], Int[Tensor, "row position"]]
"""Values, and at which of them a row's positions are; -1: the receiver is there as it was."""


class Sent(NamedTuple):
    """What senders add to the stream of the taking prompts: a row a prompt and sender, which
    changes from position `first` on; `added` stands at (row, position)."""

    number: dict[tuple[int, Site], int]
    base: Int[Tensor, " row"]
    first: Int[Tensor, " row"]
    row: Int[Tensor, " change"]
    position: Int[Tensor, " change"]
    added: Float[Tensor, "change width"]


def send(both: BothRuns, batch: Batch, senders: Sequence[Site]) -> Sent:
    number: dict[tuple[int, Site], int] = {}
    base: list[int] = []
    first: list[int] = []
    row: list[int] = []
    position: list[Tensor] = []
    added: list[Stream] = []
    device = batch.taking.lengths.device
    with both.taking.opened():
        for sender in senders:
            tokens = []
            for prompt, case in enumerate(batch.numbers):
                own = sent_tokens(both, both.cases[case], sender)
                if own:
                    number[prompt, sender] = len(base)
                    base.append(prompt)
                    first.append(min(write for _, write in own))
                    tokens += [(prompt, read, write) for read, write in own]
                    row += [number[prompt, sender]] * len(own)
            if tokens:
                of, read, write = torch.tensor(tokens, device=device).unbind(1)
                position.append(write)
                added.append(_added(both.by_layers, batch, sender, of, read, write))
    if not added:
        nothing = torch.zeros(0, dtype=torch.long, device=device)
        return Sent({}, nothing, nothing, nothing, nothing, batch.taking.stream[0][0, :0])
    rows = [torch.tensor(one, device=device) for one in (base, first, row)]
    return Sent(number, rows[0], rows[1], rows[2], torch.cat(position), torch.cat(added))


def _added(
    layers: Layerwise, batch: Batch, sender: Site, base: Tensor, read: Tensor, write: Tensor
) -> Stream:
    """To the stream, by the exchange at some tokens."""
    place, unit = sender.place, sender.unit
    old = batch.taking.values(place, base, write)
    new = batch.giving.values(place, base, read)
    if unit is not None:
        new = blended(old, new, place.component, unit, heads_of(layers.model))
    if place.component == "z":
        return layers.project(place.layer, new) - layers.project(place.layer, old)
    if place.component == "mlp_post":
        return layers.down(place.layer, new) - layers.down(place.layer, old)
    return new - old


class Received:
    """What receivers become in a batch; runs come in the order of their places, of which one is
    kept at a time."""

    def __init__(self, layers: Layerwise, taking: Cached, sent: Sent, budget: Budget) -> None:
        self.layers, self.taking, self.sent, self.budget = layers, taking, sent, budget
        self._of_place = lru_cache(maxsize=1)(self._computed)

    def values(self, place: Place, sender: Site, token: Token) -> Float[Tensor, "token ..."]:
        """At tokens of prompts, when this sender reaches them."""
        computed, number = self._of_place(place)
        values = self.taking.values(place, token.base, token.write)
        rows = [self.sent.number[run.base, sender] for run in token.runs]
        at = number[torch.tensor(rows, device=number.device), token.write]
        return values.index_put((at >= 0,), computed[at[at >= 0]])

    def _computed(self, place: Place) -> Values:
        compute = _attended if place.component in ATTENDING else _read
        return compute(self.layers, self.taking, self.sent, place, self.budget)


def _read(layers: Layerwise, taking: Cached, sent: Sent, place: Place, budget: Budget) -> Values:
    """Receivers that read each token alone."""
    component, layer = place
    source = place
    if component in ("mlp_post", "mlp_out"):
        parallel = layers.parts.blocks[layer].parallel
        source = Place("resid_pre" if parallel else "resid_mid", layer)
    stream = taking.values(source, sent.base[sent.row], sent.position) + sent.added
    number = _nowhere(taking, sent)
    number[sent.row, sent.position] = torch.arange(len(stream), device=stream.device)
    if source == place:
        return stream, number
    parts = []
    for part in torch.split(stream, budget.tokens):
        kept: list[Tensor] = []
        out = layers.mlp(layer, part, _keeping("mlp_post", kept))
        parts.append(out if component == "mlp_out" else kept[0])
    return torch.cat(parts), number


def _attended(
    layers: Layerwise, taking: Cached, sent: Sent, place: Place, budget: Budget
) -> Values:
    """Receivers that read all tokens so far: from the first that changes on."""
    component, layer = place
    number, parts, done = _nowhere(taking, sent), [], 0
    for rows in _fitting(taking, sent, budget):
        begin, end = rows[0], rows[-1] + 1
        base, first = sent.base[begin:end], sent.first[begin:end]
        layout = lay_out(base, first, taking.lengths)
        line = taking.stream[layer][layout.base[layout.row], layout.position]
        inside = (sent.row >= begin) & (sent.row < end)
        row = sent.row[inside] - begin
        token = layout.begins[row] + sent.position[inside] - first[row]
        line = line.index_add(0, token, sent.added[inside].to(line))
        ragged = Attending(layout, taking.lengths, layers.parts.causal, taking.heads[layer])
        kept: list[Tensor] = []
        out = layers.attention(layer, line, ragged, _keeping("z", kept))
        parts.append(out if component == "attn_out" else kept[0])
        every = torch.arange(done, done + len(line), device=line.device)
        number[begin + layout.row, layout.position] = every
        done += len(line)
    return torch.cat(parts), number


def _nowhere(taking: Cached, sent: Sent) -> Int[Tensor, "row position"]:
    shape = (len(sent.base), taking.positions)
    return torch.full(shape, -1, device=taking.lengths.device)


def _keeping(component: Component, kept: list[Tensor]) -> See:
    def see(shown: Component, value: Tensor) -> Tensor:
        if shown == component:
            kept.append(value)
        return value

    return see


def _fitting(taking: Cached, sent: Sent, budget: Budget) -> Iterator[list[int]]:
    """Rows, in order, that fit into memory together."""
    sizes = (taking.lengths[sent.base] - sent.first).tolist()
    rows: list[int] = []
    tokens = 0
    for row, size in enumerate(sizes):
        tokens += size
        memory = (len(rows) + 1) * budget.of_row(taking.positions, taking.positions)
        if rows and (tokens > budget.tokens or memory > budget.wave):
            yield rows
            rows, tokens = [], size
        rows.append(row)
    if rows:
        yield rows
