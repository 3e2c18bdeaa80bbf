"""Neurons whose keys and values carry: ranked by a first-order estimate, then moved."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from interp_rc.engine.inputs import logits_of, read_inputs, target_log_probs
from interp_rc.measures.transplant.pair import Act, Whole
from interp_rc.models.batching import at_most, batch_by_length
from interp_rc.models.dimensions import neurons_of
from interp_rc.records.nouns import Contrast
from interp_rc.tools.neurons.ranking import matched_at_random
from interp_rc.tools.weights.exchange import weights_of
from interp_rc.tools.weights.sites import Part, WeightSite, pieces_of

AT_ONCE = 16
Of = Literal["key", "value", "both"]
PARTS: dict[Of, tuple[Part, ...]] = {
    "key": ("key",),
    "value": ("value",),
    "both": ("key", "value"),
}


class Neurons(NamedTuple):
    """Of every neuron what moving its weights should change, to first order, in the mean
    `fact` of some contrasts [nat], and the squared norm of what is moved."""

    score: Float[Tensor, "layer neuron"]
    square: Float[Tensor, "layer neuron"]

    def first(self, k: int, act: Act) -> Int[Tensor, " chosen"]:
        """Numbers, layer by layer, of the k that should raise it most (given), or lower it most."""
        sign = 1 if act == "given" else -1
        return (sign * self.score).flatten().argsort(descending=True, stable=True)[:k]

    def alike(self, chosen: Int[Tensor, " chosen"], seed: int) -> Int[Tensor, " drawn"]:
        """Others at random that move as much together."""
        draw = torch.Generator().manual_seed(seed)
        return matched_at_random(self.square.flatten(), chosen, draw)

    def sites(self, numbers: Int[Tensor, " chosen"], of: Of) -> list[WeightSite]:
        width = self.score.shape[1]
        return [
            WeightSite(part, n // width, n % width) for n in numbers.tolist() for part in PARTS[of]
        ]


def rank_neurons(pair: Whole, act: Act, contrasts: Sequence[Contrast], of: Of) -> Neurons:
    """Gradient of the mean `fact` of the contrasts at the model that is changed, times the
    difference of the neuron's weights."""
    taker, giver = (pair.base, pair.finetuned) if act == "given" else (pair.finetuned, pair.base)
    adapter = pair.adapter(act)
    layers, neurons = adapter.layers, neurons_of(adapter.model)
    # Every neuron's pieces lie in the same parameters: those of the first say where.
    first = {
        layer: [p for part in PARTS[of] for p in pieces_of(adapter, WeightSite(part, layer, 0))]
        for layer in range(layers)
    }
    own = dict(adapter.model.named_parameters())
    names = list(dict.fromkeys(piece.parameter for some in first.values() for piece in some))
    slopes = _gradients(pair, act, [own[name] for name in names], contrasts)
    theirs, mine = weights_of(giver), weights_of(taker)
    score, square = (torch.zeros(layers, neurons, dtype=torch.float64) for _ in range(2))
    for layer, some in first.items():
        for name, dim, _ in some:
            moved = theirs[name].cpu().double() - mine[name].cpu().double()
            slope = slopes[names.index(name)].cpu().double()
            for found, values in ((score, slope * moved), (square, moved.square())):
                found[layer] += _by_neuron(values, dim)
    return Neurons(score, square)


def _by_neuron(values: Tensor, dim: int | None) -> Float[Tensor, " neuron"]:
    return values.movedim(int(dim or 0), 0).flatten(1).sum(1) if values.ndim > 1 else values


def _gradients(
    pair: Whole, act: Act, weights: Sequence[nn.Parameter], contrasts: Sequence[Contrast]
) -> list[Tensor]:
    """Of the mean of log p(target | prompt) - log p(target | other)."""
    loaded = pair.base if act == "given" else pair.finetuned
    prompts = [*(one.clean for one in contrasts), *(one.corrupted for one in contrasts)]
    inputs = read_inputs(loaded, prompts, 2 * [one.target for one in contrasts])
    signs = torch.ones(len(inputs), dtype=torch.float64)
    signs[len(contrasts) :] = -1
    needed = [weight.requires_grad for weight in weights]
    total = [torch.zeros_like(weight) for weight in weights]
    try:
        for weight in weights:
            weight.requires_grad_(True)
        lengths = [len(one.ids) for one in inputs]
        for numbers in batch_by_length(loaded.model, lengths, at_most(AT_ONCE)):
            some = [inputs[number] for number in numbers]
            with torch.enable_grad():
                nats = target_log_probs(logits_of(loaded.model, some), some)
                signed = signs[numbers] * nats
                found = torch.autograd.grad(signed.sum() / len(contrasts), list(weights))
            total = [one + more for one, more in zip(total, found, strict=True)]
    finally:
        for weight, was in zip(weights, needed, strict=True):
            weight.requires_grad_(was)
    return total
