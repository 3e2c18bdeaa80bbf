"""Keys: what neurons hold at a source's last token, and their second moment over texts."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from interp_rc.engine.cached import cache
from interp_rc.engine.inputs import Input, check_lengths
from interp_rc.engine.memory import Budget, default_memory
from interp_rc.engine.observed import observed
from interp_rc.mechanism.edits.requests import Asking
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.adapters.parts import Place
from interp_rc.models.batching import batch_by_length
from interp_rc.models.load import Loaded
from interp_rc.models.tokenizer import encode
from interp_rc.records.errors import DataError


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


@torch.no_grad()
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
    lengths = [len(ids) for ids, _ in encoded]
    check_lengths(model, once, lengths)
    budget = Budget(runs, default_memory(runs.home) if memory is None else memory, at_once=1)
    sums: dict[int, Tensor] = {}
    tokens = 0

    def fits(some: Sequence[int]) -> bool:
        longest = lengths[some[-1]]
        needed = len(some) * budget.of_pair(longest, (), places, 0)
        return len(some) * longest <= budget.tokens and needed <= budget.cached

    with runs.opened(), tqdm(total=len(once), desc="keys of texts", disable=None) as bar:
        for numbers in batch_by_length(model.model, lengths, fits):
            some = [encoded[number] for number in numbers]
            # Nothing is asked: the end is read, as `cache` wants something to be.
            inputs = [
                Input([*ids, 0], len(ids), offsets, [len(ids) - 1], [0]) for ids, offsets in some
            ]
            if not runs.parts.causal:
                inputs = [Input(ids, len(ids), offsets, [0], [0]) for ids, offsets in some]
            cached = cache(runs, inputs, places)
            rows = [(n, t) for n, (_, o) in enumerate(some) for t, (a, b) in enumerate(o) if a < b]
            at = torch.tensor(rows, device=runs.home).unbind(1)
            tokens += len(rows)
            for place in places:
                keys = cached.values(place, *at).double()
                product = (keys.T @ keys).cpu()
                sums[place.layer] = sums.get(place.layer, 0.0) + product
            bar.update(len(some))
    return {layer: total / tokens for layer, total in sums.items()}
