"""Attention over ragged rows: continuations of cached prompts, laid out as one line of tokens.

Everything but attention works on each token alone, so rows of unlike length need no padding there.
Here, each token's query meets the keys of its whole row: those cached for its prompt, and the new
ones from where the row begins.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from einops import rearrange, repeat
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel

from interp_rc.records.errors import ModelError

NAME = "interp_rc_ragged"


@dataclass(frozen=True, slots=True)
class Layout:
    """Which tokens a line holds: each row is a cached prompt from some position to its end."""

    base: Int[Tensor, " row"]  # the prompt
    begins: Int[Tensor, " row"]  # its first token
    longest: int  # row, in tokens
    row: Int[Tensor, " token"]
    position: Int[Tensor, " token"]
    slot: Int[Tensor, " token"]  # place in the row, from 0

    @property
    def rows(self) -> int:
        return len(self.base)

    def at(self, device: torch.device) -> "Layout":
        """The same on another device."""
        tensors = (self.row, self.position, self.slot)
        return Layout(
            self.base.to(device),
            self.begins.to(device),
            self.longest,
            *(one.to(device) for one in tensors),
        )

    def apart(
        self, line: Float[Tensor, "token head width"]
    ) -> Float[Tensor, "row slot head width"]:
        """A line as rows, padded behind the shorter ones."""
        shape = (self.rows, self.longest, *line.shape[1:])
        if len(line) == self.rows * self.longest:
            return line.reshape(shape)
        rows = line.new_zeros(shape)
        rows[self.row, self.slot] = line
        return rows

    def joined(
        self, rows: Float[Tensor, "row slot head width"]
    ) -> Float[Tensor, "token head width"]:
        """Rows as a line."""
        if len(self.row) == self.rows * self.longest:
            return rearrange(rows, "row slot head width -> (row slot) head width")
        return rows[self.row, self.slot]


def lay_out(
    base: Int[Tensor, " row"], first: Int[Tensor, " row"], lengths: Int[Tensor, " prompt"]
) -> Layout:
    """Rows of the prompts `base`, each from its position `first` to the end of its prompt."""
    counts = lengths[base] - first
    row = torch.repeat_interleave(torch.arange(len(base), device=base.device), counts)
    begins = counts.cumsum(0) - counts
    slot = torch.arange(len(row), device=base.device) - begins[row]
    longest = int(counts.max()) if len(counts) else 0
    return Layout(base, begins, longest, row, first[row] + slot, slot)


def whole_prompts(lengths: Int[Tensor, " prompt"]) -> Layout:
    every = torch.arange(len(lengths), device=lengths.device)
    return lay_out(every, torch.zeros_like(every), lengths)


Heads = Float[Tensor, "prompt position head width"]
Masks = dict[tuple[int | None, torch.device], Bool[Tensor, "row 1 slot position"]]
"""By window and device."""


@dataclass(slots=True)
class Attending:
    """What one layer's attention needs besides its own queries, keys and values.

    Without `cached` keys and values (rows that are whole prompts), the new ones are kept there.
    `see` is shown `z`, and if `patterned` also `pattern`, and what it returns stands in their
    place. `blocked` are keys that a query must not see.
    """

    layout: Layout
    lengths: Int[Tensor, " prompt"]
    causal: bool
    cached: tuple[Heads, Heads] | None = None
    masks: Masks = field(default_factory=dict)
    see: Callable[[Any, Tensor], Tensor] | None = None
    patterned: bool = False
    blocked: Bool[Tensor, "row slot position"] | None = None

    @property
    def positions(self) -> int:
        """Of the longest prompt."""
        return self.cached[0].shape[1] if self.cached is not None else int(self.lengths.max())

    @property
    def device(self) -> torch.device:
        return self.lengths.device

    def at(self, device: torch.device) -> "Attending":
        """The same on another device, where the cached keys and values are already."""
        return replace(
            self,
            layout=self.layout.at(device),
            lengths=self.lengths.to(device),
            blocked=None if self.blocked is None else self.blocked.to(device),
        )

    def mask(self, window: int | None) -> Bool[Tensor, "row 1 slot position"]:
        """Which positions each query sees: in a causal model none after its own, none before its
        window; in others those of its prompt."""
        key = window, self.device
        if key not in self.masks:
            self.masks[key] = self._allowed(window)[:, None]
        mask = self.masks[key]
        return mask if self.blocked is None else mask & ~self.blocked[:, None]

    def _allowed(self, window: int | None) -> Bool[Tensor, "row slot position"]:
        device = self.layout.row.device
        every = torch.arange(self.positions, device=device)
        if not self.causal:
            seen = every < self.lengths[self.layout.base][:, None, None]
            return seen.expand(-1, self.layout.longest, -1)
        shape = (self.layout.rows, self.layout.longest)
        at = torch.full(shape, self.positions - 1, device=device)
        at[self.layout.row, self.layout.slot] = self.layout.position
        seen = every <= at[..., None]
        if window is not None:
            seen &= every > at[..., None] - window
        return seen


def attend(
    module: nn.Module,
    query: Float[Tensor, "1 head token width"],
    key: Float[Tensor, "1 kv_head token width"],
    value: Float[Tensor, "1 kv_head token width"],
    attention_mask: Tensor | None = None,
    *,
    ragged: Attending | None = None,
    scaling: float | None = None,
    softcap: float | None = None,
    sliding_window: int | None = None,
    **_: Any,
) -> tuple[Float[Tensor, "1 token head width"], None]:
    """In the place of Transformers' own attention functions, for a line of tokens.

    Raises ModelError where the model is asked as a whole meanwhile, which gives no line.
    """
    if ragged is None:
        raise ModelError(
            "the layers of this model are opened to be run one by one, and it cannot be asked as a "
            "whole until they are closed; read texts and score before they are opened, or after"
        )
    layout = ragged.layout
    q, k, v = (
        rearrange(one, "1 head token width -> token head width") for one in (query, key, value)
    )
    if ragged.cached is None:
        shape = (layout.rows, ragged.positions, *k.shape[1:])
        keys, values = k.new_zeros(shape), v.new_zeros(shape)
    else:
        keys, values = (one[layout.base] for one in ragged.cached)
    keys[layout.row, layout.position] = k
    values[layout.row, layout.position] = v
    if ragged.cached is None:
        ragged.cached = keys, values
    queries, keys, values = (
        rearrange(one, "row position head width -> row head position width")
        for one in (layout.apart(q), keys, values)
    )
    mask = ragged.mask(sliding_window)
    scale = q.shape[-1] ** -0.5 if scaling is None else scaling
    if softcap is None and not ragged.patterned:
        grouped = q.shape[1] != k.shape[1]
        out = scaled_dot_product_attention(
            queries, keys, values, attn_mask=mask, scale=scale, enable_gqa=grouped
        )
    else:
        out = _by_pattern(ragged, queries, keys, values, mask, scale, softcap)
    z = layout.joined(rearrange(out, "row head slot width -> row slot head width"))
    if ragged.see is not None:
        seen = ragged.see("z", rearrange(z, "token head width -> token (head width)"))
        z = rearrange(seen, "token (head width) -> token head width", head=z.shape[1])
    return z[None], None


def _by_pattern(
    ragged: Attending,
    queries: Float[Tensor, "row head slot width"],
    keys: Float[Tensor, "row kv_head position width"],
    values: Float[Tensor, "row kv_head position width"],
    mask: Bool[Tensor, "row 1 slot position"],
    scale: float,
    softcap: float | None,
) -> Float[Tensor, "row head slot width"]:
    """Attention with its pattern (what each query gives to each key) at hand."""
    times = queries.shape[1] // keys.shape[1]
    keys, values = (
        repeat(one, "row head position width -> row (head times) position width", times=times)
        for one in (keys, values)
    )
    scores = queries @ keys.mT * scale
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    # Models that cap scores compute the softmax in float32, whatever the type of the rest.
    precise = torch.float32 if softcap else torch.promote_types(scores.dtype, torch.float32)
    pattern = torch.softmax(scores, -1, dtype=precise).to(scores.dtype)
    if ragged.patterned and ragged.see is not None:
        row, slot = ragged.layout.row, ragged.layout.slot
        by_slot = rearrange(pattern, "row head slot position -> row slot head position")
        of_tokens = by_slot[row, slot]
        seen = ragged.see("pattern", of_tokens)
        if seen is not of_tokens:
            by_slot = by_slot.index_put((row, slot), seen)
            pattern = rearrange(by_slot, "row slot head position -> row head slot position")
    return pattern @ values


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, lambda *_, **__: None)  # `Attending` has its own


@contextmanager
def ragged_attention(model: PreTrainedModel) -> Iterator[None]:
    """Inside, the model's attention modules take lines of tokens and a keyword `ragged`."""
    own = model.config._attn_implementation
    model.config._attn_implementation = NAME
    try:
        yield
    finally:
        model.config._attn_implementation = own
