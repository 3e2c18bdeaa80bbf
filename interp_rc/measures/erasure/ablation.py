"""Erased by ablation: the neurons that make a fact, set to their mean at the prompt's tokens."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp_rc.engine.inputs import Input, logits_of, read_inputs, says_targets, target_log_probs
from interp_rc.measures.erasure.asking import Case, Known, Question, knows_each
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.batching import at_most, batch_by_length
from interp_rc.models.evaluating import evaluating
from interp_rc.models.load import Loaded
from interp_rc.tools.neurons.ranking import as_mask, rank_neurons

Masks = Bool[Tensor, "case layer neuron"]
Means = list[Float[Tensor, " neuron"]]
"""By layer."""
Changed = Callable[[int, Tensor], Tensor]
"""From a layer and what its neurons hold to what stands in its place."""

BATCH = 64
FIRST = 8  # neurons
MOST = 0.25  # of all neurons: to cut out more is not to cut out one fact
ROUNDS = 3  # of bisection, on a log scale


def ranked_neurons(model: Loaded, cases: Sequence[Case]) -> Int[Tensor, "case neuron"]:
    """All layers' neurons, those first that contribute most to the fact rather than its partner,
    at all tokens of the prompts it is erased in; see `Ranking.own`."""
    contrasts = [one for case in cases for one in case.contrasts]
    own = rank_neurons(model, contrasts, span="prompt", token="all").own.flatten(1)
    orders, at = [], 0
    for case in cases:
        mean = own[at : at + len(case.contrasts)].mean(0)
        orders.append(mean.argsort(descending=True, stable=True))
        at += len(case.contrasts)
    return torch.stack(orders)


def ablate(
    model: Loaded, cases: Sequence[Case], share: float
) -> Iterator[tuple[Known, float, bool]]:
    """What is known of each case without so many of its neurons that its lead, where it is
    erased, falls by `share`, up to a quarter of all; how many those are; and whether it falls so
    far at all.

    Only the prompt's tokens are touched: a target's own tokens are read as before, so that what
    is lost is what the prompt brings, not how a name goes on once it has begun. All cases are run
    together, each with its own neurons.
    """
    adapter = Adapter(model.model)
    order = ranked_neurons(model, cases)
    means = mean_neurons(model, adapter, cases)
    erasing = [case.of("erasing") for case in cases]

    def without(
        numbers: Sequence[int], ks: Sequence[int], asked: Sequence[list[Question]]
    ) -> list[Known]:
        layers = adapter.layers
        masks = torch.stack(
            [
                as_mask(order[n, :k], layers, order.shape[1] // layers)
                for n, k in zip(numbers, ks, strict=True)
            ]
        )
        return known_without(model, adapter, [asked[n] for n in numbers], masks, means)

    every = [*range(len(cases))]
    start = np.array([one.lead.mean() for one in without(every, [0] * len(cases), erasing)])

    def reached(numbers: list[int], ks: list[int]) -> list[bool]:
        found = without(numbers, ks, erasing)
        return [
            bool(one.lead.mean() <= (1 - share) * start[n])
            for n, one in zip(numbers, found, strict=True)
        ]

    ks, enough = fewest(reached, len(cases), max(1, int(MOST * order.shape[1])))
    after = without(every, ks, [case.questions for case in cases])
    for known, k, far in zip(after, ks, enough, strict=True):
        yield known, float(k), far


def fewest(
    reached: Callable[[list[int], list[int]], list[bool]], cases: int, most: int
) -> tuple[list[int], list[bool]]:
    """For every case the number of neurons, doubled until enough and then bisected, at which it
    is; `most`, and False, where so many are not enough."""
    high, enough = [min(FIRST, most)] * cases, [False] * cases
    left = [*range(cases)]
    while left:
        for n, yes in zip(left, reached(left, [high[n] for n in left]), strict=True):
            enough[n] = yes
        left = [n for n in left if not enough[n] and high[n] < most]
        for n in left:
            high[n] = min(2 * high[n], most)
    low = [max(k // 2, 1) if k > FIRST else 1 for k in high]
    some = [n for n in range(cases) if enough[n]]
    for _ in range(ROUNDS if some else 0):
        middle = {n: round((low[n] * high[n]) ** 0.5) for n in some}
        for n, yes in zip(some, reached(some, [middle[n] for n in some]), strict=True):
            (high if yes else low)[n] = middle[n]
    return high, enough


def known_without(
    model: Loaded,
    adapter: Adapter,
    asked: Sequence[Sequence[Question]],
    masks: Masks,
    means: Means,
) -> list[Known]:
    """Of each case's questions, with its masked neurons at their mean at the prompts' tokens."""
    owner = [n for n, some in enumerate(asked) for one in some for _ in one.targets]
    masks = masks.to(model.model.device)

    def scored(prompts: Sequence[str], targets: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        inputs = read_inputs(model, prompts, targets)
        lengths = [len(one.ids) for one in inputs]
        values, said = np.zeros(len(inputs)), np.zeros(len(inputs), dtype=bool)
        for some in batch_by_length(model.model, lengths, at_most(BATCH)):
            batch = [inputs[i] for i in some]
            mine = masks[[owner[i] for i in some]]
            values[some], said[some] = _scored(model, adapter, batch, mine, means)
        return values, said

    return knows_each(scored, asked)


@torch.no_grad()
def _scored(
    model: Loaded, adapter: Adapter, batch: Sequence[Input], masks: Masks, means: Means
) -> tuple[np.ndarray, np.ndarray]:
    inside = _prompts(batch, model.model.device)[..., None]

    def changed(layer: int, value: Tensor) -> Tensor:
        which = inside.to(value.device) & masks[:, None, layer].to(value.device)
        return torch.where(which, means[layer].to(value), value)

    with neurons_changed(adapter, changed):
        logits = logits_of(model.model, batch)
    return target_log_probs(logits, batch).numpy(), says_targets(logits, batch).numpy()


def _prompts(batch: Sequence[Input], device: torch.device) -> Bool[Tensor, "batch pos"]:
    starts = torch.tensor([one.start for one in batch], device=device)
    return torch.arange(max(len(one.ids) for one in batch), device=device) < starts[:, None]


@torch.no_grad()
def mean_neurons(model: Loaded, adapter: Adapter, cases: Sequence[Case]) -> Means:
    """Over all tokens of the prompts of both orders, in float64."""
    asked = {(one.query.prompt, one.query.target) for case in cases for one in case.questions}
    prompts, targets = zip(*sorted(asked), strict=True)
    inputs = read_inputs(model, prompts, targets)
    sums: dict[int, Tensor] = {}
    tokens = 0
    lengths = [len(one.ids) for one in inputs]
    for some in batch_by_length(model.model, lengths, at_most(BATCH)):
        batch = [inputs[i] for i in some]
        inside = _prompts(batch, model.model.device)
        tokens += int(inside.sum())

        def seen(layer: int, value: Tensor, inside: Tensor = inside) -> Tensor:
            total = value[inside.to(value.device)].double().sum(0)
            sums[layer] = sums.get(layer, 0) + total
            return value

        with neurons_changed(adapter, seen):
            logits_of(model.model, batch)
    return [sums[layer] / tokens for layer in range(adapter.layers)]


@contextmanager
def neurons_changed(adapter: Adapter, changed: Changed) -> Iterator[None]:
    """Inside, every layer's `down` reads what `changed` makes of its neurons; no weight is
    touched. The model is in evaluation mode."""
    with ExitStack() as stack:
        stack.enter_context(evaluating(adapter.model))
        for layer, block in enumerate(adapter.by_layers.parts.blocks):

            def before(module: Any, args: tuple[Any, ...], layer: int = layer) -> tuple[Any, ...]:
                return changed(layer, args[0]), *args[1:]

            handle = block.down.register_forward_pre_hook(before)
            stack.callback(handle.remove)
        yield
