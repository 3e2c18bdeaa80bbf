"""Keys: what neurons hold at a source's last token, and their second moment over texts."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from interp_rc.engine.inputs import Input, check_lengths
from interp_rc.engine.observed import observed
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.adapters.parts import Place
from interp_rc.models.load import Loaded
from interp_rc.models.tokenizer import encode
from interp_rc.records.errors import DataError
from interp_rc.tools.editing.requests import Asking


def mean_keys(
    model: Loaded, askings: Sequence[Asking], layers: Sequence[int]
) -> Float[Tensor, "request layer neuron"]:
    """Of every request the mean over its prompts, in float64."""
    runs = Adapter(model.model).by_layers
    places = [Place("mlp_post", layer) for layer in layers]
    found: list[Tensor | None] = [None] * len(askings)
    for batch in observed(runs, [one.input for one in askings], places, "keys"):
        at = batch.at([[askings[number].at] for number in batch.numbers])
        keys = torch.stack([batch.cached.values(place, *at) for place in places], 1)
        for number, one in zip(batch.numbers, keys.double().cpu(), strict=True):
            found[number] = one
    request = torch.tensor([one.request for one in askings])
    counts = torch.bincount(request).double()
    every = torch.stack([one for one in found if one is not None])
    sums = every.new_zeros(len(counts), *every.shape[1:]).index_add_(0, request, every)
    return sums / counts[:, None, None]


def second_moments(
    model: Loaded, texts: Sequence[str], layers: Sequence[int], memory: int | None = None
) -> dict[int, Float[Tensor, "neuron neuron"]]:
    """By layer, the mean of k kᵀ over all tokens of the texts, each text once, in float64.

    Special tokens that stand for no character are left out. Raises DataError for no text,
    and for one that is too long for the model.
    """
    runs = Adapter(model.model).by_layers
    places = [Place("mlp_post", layer) for layer in layers]
    once = list(dict.fromkeys(texts))
    encoded = encode(model.tokenizer, once)
    if not encoded:
        raise DataError("there is no text to take the second moment of keys over; give some")
    check_lengths(model, once, [len(ids) for ids, _ in encoded])
    # Nothing is asked: something is read, as `cache` wants it to be.
    if runs.parts.causal:
        inputs = [Input([*ids, 0], len(ids), own, [len(ids) - 1], [0]) for ids, own in encoded]
    else:
        inputs = [Input(ids, len(ids), own, [0], [0]) for ids, own in encoded]
    sums: dict[int, Tensor] = {}
    tokens = 0
    for batch in observed(runs, inputs, places, "keys of texts", memory):
        named = [[t for t, (a, b) in enumerate(one.offsets) if a < b] for one in batch.inputs]
        at = batch.at(named)
        tokens += sum(map(len, named))
        for place in places:
            keys = batch.cached.values(place, *at).double()
            product = (keys.T @ keys).cpu()
            sums[place.layer] = sums.get(place.layer, 0.0) + product
    return {layer: total / tokens for layer, total in sums.items()}
