"""Attention over ragged rows: continuations of cached prompts, laid out as one line of tokens.

Everything but attention works on each token alone, so rows of unlike length need no padding there.
Here, each token's query meets the keys of its whole row: those cached for its prompt, and the new
ones from where the row begins.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel

NAME = "interp_rc_ragged"


@dataclass(frozen=True, slots=True)
class Layout:
    """Which tokens a line holds: each row is a cached prompt from some position to its end."""

    base: Int[Tensor, " row"]  # the prompt
    row: Int[Tensor, " token"]
    position: Int[Tensor, " token"]
    slot: Int[Tensor, " token"]  # place in the row, from 0

    @property
    def rows(self) -> int:
        return len(self.base)

    @property
    def longest(self) -> int:
        return int(self.slot.max()) + 1


def lay_out(
    base: Int[Tensor, " row"], first: Int[Tensor, " row"], lengths: Int[Tensor, " prompt"]
) -> Layout:
    """Rows of the prompts `base`, each from its position `first` to the end of its prompt."""
    counts = lengths[base] - first
    row = torch.repeat_interleave(torch.arange(len(base), device=base.device), counts)
    begins = counts.cumsum(0) - counts
    slot = torch.arange(len(row), device=base.device) - begins[row]
    return Layout(base, row, first[row] + slot, slot)


Heads = Float[Tensor, "prompt position head width"]


@dataclass(slots=True)
class Attending:
    """What one layer's attention needs besides its own queries, keys and values.

    Without `cached` keys and values (rows that are whole prompts), the new ones are kept there.
    """

    layout: Layout
    positions: int  # of the longest prompt
    cached: tuple[Heads, Heads] | None = None
    masks: dict[int | None, Bool[Tensor, "row 1 slot position"]] = field(default_factory=dict)

    def mask(self, window: int | None) -> Bool[Tensor, "row 1 slot position"]:
        """Which positions each query sees: none after its own, none before its window."""
        if window not in self.masks:
            at = torch.full((self.layout.rows, self.layout.longest), self.positions - 1)
            at = at.to(self.layout.row.device)
            at[self.layout.row, self.layout.slot] = self.layout.position
            every = torch.arange(self.positions, device=at.device)
            seen = every <= at[..., None]
            if window is not None:
                seen &= every > at[..., None] - window
            self.masks[window] = seen[:, None]
        return self.masks[window]


def attend(
    module: nn.Module,
    query: Float[Tensor, "1 head token width"],
    key: Float[Tensor, "1 kv_head token width"],
    value: Float[Tensor, "1 kv_head token width"],
    attention_mask: Tensor | None = None,
    *,
    ragged: Attending,
    scaling: float | None = None,
    softcap: float | None = None,
    sliding_window: int | None = None,
    **_: Any,
) -> tuple[Float[Tensor, "1 token head width"], None]:
    """In the place of Transformers' own attention functions, for a line of tokens."""
    layout = ragged.layout
    q, k, v = (one[0].transpose(0, 1) for one in (query, key, value))
    if ragged.cached is None:
        shape = (layout.rows, ragged.positions, *k.shape[1:])
        keys, values = k.new_zeros(shape), v.new_zeros(shape)
    else:
        keys, values = (one[layout.base] for one in ragged.cached)
    keys[layout.row, layout.position] = k
    values[layout.row, layout.position] = v
    if ragged.cached is None:
        ragged.cached = keys, values
    queries = q.new_zeros(layout.rows, layout.longest, *q.shape[1:])
    queries[layout.row, layout.slot] = q
    out = _attention(
        queries.transpose(1, 2),
        keys.transpose(1, 2),
        values.transpose(1, 2),
        ragged.mask(sliding_window),
        scaling,
        softcap,
    )
    return out.transpose(1, 2)[layout.row, layout.slot][None], None


def _attention(
    queries: Float[Tensor, "row head slot width"],
    keys: Float[Tensor, "row kv_head position width"],
    values: Float[Tensor, "row kv_head position width"],
    mask: Bool[Tensor, "row 1 slot position"],
    scaling: float | None,
    softcap: float | None,
) -> Float[Tensor, "row head slot width"]:
    grouped = queries.shape[1] != keys.shape[1]
    if softcap is None:
        return scaled_dot_product_attention(
            queries, keys, values, attn_mask=mask, scale=scaling, enable_gqa=grouped
        )
    if grouped:
        times = queries.shape[1] // keys.shape[1]
        keys, values = (one.repeat_interleave(times, 1) for one in (keys, values))
    scale = queries.shape[-1] ** -0.5 if scaling is None else scaling
    scores = softcap * torch.tanh(queries @ keys.transpose(2, 3) * scale / softcap)
    scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return torch.softmax(scores, -1) @ values


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
