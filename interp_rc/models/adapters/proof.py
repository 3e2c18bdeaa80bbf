"""Proof that an adapter's places are what their names say, on a random text.

A silent no-op is the worst fault of such tools: nothing is used that has not been proven here.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import torch
from einops import rearrange, repeat
from torch import Tensor
from transformers import PreTrainedModel

from interp_rc.models.adapters.layerwise import Layerwise, See
from interp_rc.models.adapters.parts import Activations, Component, Edit, Parts, Place, through
from interp_rc.models.adapters.ragged import Heads
from interp_rc.models.causality import plain_tokens
from interp_rc.models.finite import check_finite
from interp_rc.models.machine import device_of
from interp_rc.records.errors import ModelError


class Hooked(Protocol):
    """An adapter, as far as its proof needs it."""

    model: PreTrainedModel
    parts: Parts

    @property
    def layers(self) -> int: ...

    @property
    def places(self) -> list[Place]: ...

    def hooked(self) -> AbstractContextManager[None]: ...

    def run(
        self,
        ids: Tensor,
        mask: Tensor | None = None,
        *,
        capture: Collection[Place] = (),
        edits: Mapping[Place, Edit] | None = None,
    ) -> tuple[Tensor, Activations]: ...


TOKENS = 5
TEXTS = 16


@torch.no_grad()
def prove(adapter: Hooked) -> None:
    """Raise ModelError unless the stream is the sum of its parts, its end gives the model's own
    logits, and a change at each place changes them."""
    parts, places = adapter.parts, adapter.places
    ids, own, draw = _text(adapter.model)
    with adapter.hooked():
        logits, at = adapter.run(ids, capture=places)
        missing = [place for place in places if place not in at]
        if missing:
            raise unproven(adapter.model, f"{missing[0].name} is never computed")
        for layer in range(adapter.layers):
            _prove_sum(adapter, at, layer)
        end = parts.logits(at[Place("resid_post", adapter.layers - 1)]) if parts.known else own
        if not _alike(end, own) or not _alike(logits, own):
            raise unproven(adapter.model, "the stream's end does not give the model's logits")
        # One row a place, each changed at its own place only.
        rows = ids.expand(len(places), -1)
        edits = {}
        for row, place in enumerate(places):
            new = _disturbed(at[place][0, -1:], draw)
            edits[place] = Edit(torch.tensor([row]), torch.tensor([TOKENS - 1]), new)
        changed, _ = adapter.run(rows, edits=edits)
    for row, place in enumerate(places):
        _prove_change(adapter, place, changed[row], own[0])


@torch.no_grad()
def prove_layerwise(model: PreTrainedModel, layerwise: Layerwise) -> None:
    """Raise ModelError unless layer by layer the model's own logits come out, and what is put in
    the place of a pattern, of heads or of neurons is what the model goes on with."""
    ids, own, draw = _text(model)
    inside: tuple[Component, ...] = ("pattern", "z", "mlp_post")
    places = [Place(c, layer) for layer in range(layerwise.layers) for c in inside]
    row_of = {place: row + 1 for row, place in enumerate(places)}  # the first one stays as it is
    seen: dict[Place, Tensor] = {}

    def see(layer: int) -> See:
        def at(component: Component, value: Tensor) -> Tensor:
            place = Place(component, layer)
            if place in row_of:
                value = value.clone()
                token = (row_of[place] + 1) * TOKENS - 1
                value[token] = _disturbed(value[token], draw)
            seen[place] = value
            return value

        return at

    rows = ids.expand(len(places) + 1, -1)
    lengths = torch.full((len(rows),), TOKENS, device=ids.device)
    with layerwise.opened():
        line, heads = layerwise.whole(rows, lengths, see, patterned=True)
        logits = layerwise.logits(line[:TOKENS])
    if not _alike(logits, own[0]):
        raise unproven(model, "layer by layer, other logits than the model's come out")
    missing = [place for place in places if place not in seen]
    if missing:
        raise unproven(model, f"{missing[0].name} is never computed")
    for place, row in row_of.items():
        token = (row + 1) * TOKENS - 1
        follows, going_on = _following(layerwise, place, seen[place][token], heads, row)
        if going_on is None or not _alike(seen[follows][token], going_on):
            raise unproven(model, f"what is put in the place of {place.name} is not used")


def _following(
    layerwise: Layerwise,
    place: Place,
    put: Tensor,
    heads: Sequence[tuple[Heads, Heads]],
    row: int,
) -> tuple[Place, Tensor | None]:
    """The next place, and what should be there; None if what was put does not fit."""
    component, layer = place
    try:
        if component == "pattern":
            values = heads[layer][1][row].to(put.device)
            times = len(put) // values.shape[1]
            values = repeat(values, "key head width -> key (head times) width", times=times)
            z = torch.einsum("hp,phw->hw", put, values)
            return Place("z", layer), rearrange(z, "head width -> (head width)")
        if component == "z":
            return Place("attn_out", layer), layerwise.project(layer, put[None])[0]
        return Place("mlp_out", layer), layerwise.down(layer, put[None])[0]
    except RuntimeError:  # of other widths
        return place, None


def _text(model: PreTrainedModel) -> tuple[Tensor, Tensor, torch.Generator]:
    """Ids of one random text, the model's own logits, and what else is drawn from.

    Of some texts, that with the largest logits: what a model says nothing about shows nothing but
    rounding. Raises ModelError for logits that are no numbers, which no adapter is to blame for.
    """
    draw = torch.Generator().manual_seed(0)
    words = plain_tokens(model)
    texts = words[torch.randint(len(words), (TEXTS, TOKENS), generator=draw)].to(device_of(model))
    size = model(input_ids=texts, use_cache=False).logits.abs().flatten(1).amax(-1)
    ids = texts[size.argmax()][None]
    own = model(input_ids=ids, use_cache=False).logits
    if not own.isfinite().all():
        check_finite(model)
        raise ModelError(
            f"the model's own logits are NaN or infinite, although its weights are not, in "
            f"{str(own.dtype).removeprefix('torch.')}; load it in another type of numbers"
        )
    return ids, own, draw


def _disturbed(value: Tensor, draw: torch.Generator) -> Tensor:
    noise = torch.randn(value.shape, generator=draw).to(value)
    return value + 3 * noise * value.abs().mean().clamp(min=1.0)


def _prove_change(adapter: Hooked, place: Place, changed: Tensor, own: Tensor) -> None:
    if _alike(changed[-1], own[-1]):
        raise unproven(adapter.model, f"changing {place.name} changes no logit")
    if adapter.parts.causal and not _alike(changed[:-1], own[:-1]):
        raise unproven(adapter.model, f"changing {place.name} changes earlier positions")


def _prove_sum(adapter: Hooked, at: Activations, layer: int) -> None:
    if Place("attn_out", layer) in at:
        _prove_added(adapter, at, layer)
    following = at.get(Place("resid_pre", layer + 1))
    given = at[Place("resid_post", layer)]
    if following is not None and not torch.equal(given.to(following.device), following):
        raise unproven(adapter.model, f"layer {layer + 1} does not read what layer {layer} gives")


def _prove_added(adapter: Hooked, at: Activations, layer: int) -> None:
    block = adapter.parts.blocks[layer]
    pre, attention, mlp, post = (
        at[Place(component, layer)]
        for component in ("resid_pre", "attn_out", "mlp_out", "resid_post")
    )
    # Of a model that is spread over devices, the stream may come from another one.
    pre = pre.to(attention.device)
    middle = through(block.mid_norm, pre + attention)
    if not _alike(through(block.end_norm, middle + mlp), post):
        raise unproven(adapter.model, f"layer {layer} is not its input, attention and MLP summed")
    found = at.get(Place("resid_mid", layer))
    if found is not None and not _alike(middle, found):
        raise unproven(
            adapter.model, f"resid_mid of layer {layer} is not its input and attention summed"
        )


def _alike(first: Tensor, second: Tensor) -> bool:
    """Equal up to the rounding of the data type, on the scale of the values.

    In some models attention's softmax is in float32 whatever the type of the rest.
    """
    first = first.to(second.device)
    scale = second.abs().max().clamp(min=1e-30)
    tolerance = min(200 * max(torch.finfo(second.dtype).eps, 1e-9), 0.05)
    return bool(((first - second).abs().max() / scale) <= tolerance)


def unproven(model: PreTrainedModel, what: str) -> ModelError:
    return ModelError(
        f"the adapter for {model.config.model_type} does not fit this model: {what}; "
        "use a model of another family, or the Transformers version of requirements.lock"
    )
