"""Which neurons make the difference between two facts: every neuron's share, to first order."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from interp_rc.mechanism.attribution import GradientBudget, gradients_at
from interp_rc.mechanism.cached import Cached
from interp_rc.mechanism.memories.key_values import key_values
from interp_rc.mechanism.patching import in_itself
from interp_rc.mechanism.sites import Site, Token, tokens_of
from interp_rc.mechanism.sweep import Batch, Case, Sweep, read_cases
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.adapters.parts import Place
from interp_rc.models.adapters.ragged import whole_prompts
from interp_rc.models.load import Loaded
from interp_rc.records.nouns import Contrast

Pairs = tuple[Int[Tensor, " token"], Int[Tensor, " token"], Int[Tensor, " token"]]
"""Contrast (by its place in the batch), position in the clean and in the corrupted prompt."""


Means = Mapping[tuple[str | None, int], Float[Tensor, " neuron"]]
"""By order and layer."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """For every contrast (row), layer and neuron.

    `score`: what its coefficients at the span's tokens contribute to the log-probability of the
    target, clean less corrupted, in nats: (clean - corrupted coefficient) times the mean of the
    gradients in both runs, summed over tokens. `write`: the squared length of what the difference
    of its coefficients writes, summed over tokens. `own`: the score of those tokens where the
    clean coefficient is further from the mean over the clean prompts of the order than the
    corrupted one: the
    clean fact's own neurons, without those of the other fact, whose silence counts as well.
    `rises`: whether its coefficients are higher in the clean prompt, all tokens together.

    An estimate: where a neuron's share depends on another's (what one alone does to a norm, say),
    it is not what `patch` finds of the neuron alone.
    """

    score: Float[Tensor, "contrast layer neuron"]
    own: Float[Tensor, "contrast layer neuron"]
    write: Float[Tensor, "contrast layer neuron"]
    rises: Bool[Tensor, "contrast layer neuron"]

    def of(self, contrasts: Sequence[int]) -> "Ranking":
        """Of some contrasts, by number."""
        return Ranking(
            self.score[contrasts],
            self.own[contrasts],
            self.write[contrasts],
            self.rises[contrasts],
        )

    def order(self, contrast: int) -> Int[Tensor, " neuron"]:
        """All layers' neurons, numbered layer after layer, the highest score first."""
        return self.score[contrast].flatten().argsort(descending=True, stable=True)


def rank_neurons(
    model: Loaded,
    contrasts: Sequence[Contrast],
    *,
    span: str = "source",
    token: Token = "all",
    memory: int | None = None,
) -> Ranking:
    """Attribution patching of every neuron (Nanda 2023), with the gradient taken at both ends.

    Raises what `patch` raises; ModelError for a family that no adapter knows.
    """
    adapter = Adapter(model.model)
    cases = read_cases(model, model, contrasts, "log_prob")
    sweep = memory_sweep(adapter, cases, memory)
    runs, places = sweep.by_layers, neuron_places(adapter)
    means = mean_coefficients(sweep, span, token)
    lengths = [
        key_values(adapter, layer).values.norm(dim=1).to(runs.home)
        for layer in range(adapter.layers)
    ]
    # Of many contrasts and neurons, in no more digits than the model has.
    kept = torch.promote_types(model.model.dtype, torch.float32)
    scores: dict[int, Tensor] = {}
    owns: dict[int, Tensor] = {}
    writes: dict[int, Tensor] = {}
    rises: dict[int, Tensor] = {}
    reads = max(len(case.clean.reads) for case in cases)
    with torch.no_grad(), tqdm(total=len(cases), desc="neurons", disable=None) as bar:
        for batch in sweep.batches(GradientBudget(runs, memory, reads)):
            of_batch = [cases[number] for number in batch.numbers]
            pairs = token_pairs(of_batch, span, token, runs.home)
            score, own, write, rise = [], [], [], []
            ends = [
                (batch.giving, _gradients(sweep, [c.clean.ids for c in of_batch], batch.giving)),
                (
                    batch.taking,
                    _gradients(sweep, [c.corrupted.ids for c in of_batch], batch.taking),
                ),
            ]
            for place, length in zip(places, lengths, strict=True):
                change = differences(batch, place, pairs)
                slope = (
                    _slopes(ends[0], place, pairs[0], pairs[1])
                    + _slopes(ends[1], place, pairs[0], pairs[2])
                ) / 2
                share = change * slope
                score.append(_per_contrast(share, pairs[0], len(of_batch)))
                usual = means_at(means, place.layer, of_batch, pairs[0])
                held = share.where(_further(batch, place, pairs, usual), 0.0)
                own.append(_per_contrast(held, pairs[0], len(of_batch)))
                write.append(_per_contrast((change * length) ** 2, pairs[0], len(of_batch)))
                rise.append(_per_contrast(change, pairs[0], len(of_batch)) > 0)
            for row, number in enumerate(batch.numbers):
                scores[number] = torch.stack([one[row] for one in score]).to(kept)
                owns[number] = torch.stack([one[row] for one in own]).to(kept)
                writes[number] = torch.stack([one[row] for one in write]).to(kept)
                rises[number] = torch.stack([one[row] for one in rise])
            bar.update(len(batch.numbers))
    every = range(len(cases))
    found = [torch.stack([of[i] for i in every]) for of in (scores, owns, writes, rises)]
    return Ranking(*found)


def memory_sweep(adapter: Adapter, cases: Sequence[Case], memory: int | None) -> Sweep:
    """Both runs of every contrast, with all coefficients kept."""
    runs, places = adapter.by_layers, neuron_places(adapter)
    return Sweep(cases, runs, runs, "log_prob", "corrupted", places, places, 1, memory)


def neuron_places(adapter: Adapter) -> list[Place]:
    return [Place("mlp_post", layer) for layer in range(adapter.layers)]


def token_pairs(cases: Sequence[Case], span: str, token: Token, device: torch.device) -> Pairs:
    """The span's tokens, those of both prompts matched from the end.

    Raises DataError for a contrast without the span.
    """
    site = Site("mlp_post", 0, span, token)
    found = [
        (row, clean, corrupted)
        for row, case in enumerate(cases)
        for clean, corrupted in tokens_of(
            case.contrast, site, case.clean.offsets, case.corrupted.offsets
        )
    ]
    row, clean, corrupted = torch.tensor(found, device=device).unbind(1)
    return row, clean, corrupted


def clean_tokens(
    cases: Sequence[Case], span: str, token: Token, device: torch.device
) -> tuple[Int[Tensor, " token"], Int[Tensor, " token"]]:
    """Contrast and position of all of the span's tokens in the clean prompt, matched or not."""
    alone = [case._replace(contrast=in_itself(case.contrast, "clean")) for case in cases]
    both = [case._replace(corrupted=case.clean) for case in alone]
    row, clean, _ = token_pairs(both, span, token, device)
    return row, clean


def differences(batch: Batch, place: Place, pairs: Pairs) -> Float[Tensor, "token neuron"]:
    """Clean less corrupted coefficients, in float64."""
    row, clean, corrupted = pairs
    given = batch.giving.values(place, row, clean).double()
    return given - batch.taking.values(place, row, corrupted).double()


def _further(
    batch: Batch, place: Place, pairs: Pairs, usual: Float[Tensor, "token neuron"]
) -> Bool[Tensor, "token neuron"]:
    """Whether the clean coefficient is the less usual one."""
    row, clean, corrupted = pairs
    given = batch.giving.values(place, row, clean).double() - usual
    return given.abs() > (batch.taking.values(place, row, corrupted).double() - usual).abs()


def mean_coefficients(sweep: Sweep, span: str, token: Token) -> Means:
    """Over the span's tokens of all clean prompts of an order, in float64: names are not averaged
    with descriptions."""
    orders = [case.contrast.order for case in sweep.cases]
    sums: dict[tuple[str | None, int], Tensor] = {}
    counts: Counter[str | None] = Counter()
    for batch in sweep.batches(sweep.budget()):
        of_batch = [sweep.cases[number] for number in batch.numbers]
        row, clean = clean_tokens(of_batch, span, token, sweep.taking.home)
        asked = [orders[batch.numbers[n]] for n in row.tolist()]
        for order in dict.fromkeys(asked):
            mine = torch.tensor([one == order for one in asked], device=row.device)
            counts[order] += int(mine.sum())
            for place in sweep.given:
                found = batch.giving.values(place, row[mine], clean[mine]).double().sum(0)
                key = order, place.layer
                sums[key] = sums.get(key, 0) + found
    return {key: total / counts[key[0]] for key, total in sums.items()}


def means_at(
    means: Means, layer: int, cases: Sequence[Case], row: Int[Tensor, " token"]
) -> Float[Tensor, "token neuron"]:
    """The mean of each token's order."""
    of_case = torch.stack([means[case.contrast.order, layer] for case in cases])
    return of_case[row]


def _slopes(
    end: tuple[Cached, dict[Place, Tensor]], place: Place, row: Tensor, position: Tensor
) -> Float[Tensor, "token neuron"]:
    """Of the metric at tokens of one end's runs, in float64."""
    cached, found = end
    return found[place][whole_prompts(cached.lengths).begins[row] + position].double()


def _gradients(sweep: Sweep, ids: Sequence[list[int]], cached: Cached) -> dict[Place, Tensor]:
    padded = pad_sequence([torch.tensor(one) for one in ids], batch_first=True)
    runs = sweep.by_layers
    with runs.opened():
        return gradients_at(
            runs, padded.to(runs.home), cached, cached.stream[0], sweep.given, sweep.metric
        )


def _per_contrast(
    values: Float[Tensor, "token neuron"], row: Int[Tensor, " token"], contrasts: int
) -> Float[Tensor, "contrast neuron"]:
    found = values.new_zeros(contrasts, values.shape[1])
    return found.index_add_(0, row, values).cpu()


def matched_at_random(
    write: Float[Tensor, " neuron"], top: Int[Tensor, " chosen"], draw: torch.Generator
) -> Int[Tensor, " drawn"]:
    """Neurons drawn from all others until they write as much as the `top` ones together, or none
    is left: the control that tells which neurons from how much is written."""
    outside = torch.ones(len(write), dtype=torch.bool)
    outside[top] = False
    others = outside.nonzero()[:, 0]
    others = others[torch.randperm(len(others), generator=draw)]
    written = write[others].cumsum(0)
    enough = int((written < write[top].sum()).sum()) + 1
    return others[:enough]


def as_mask(
    chosen: Int[Tensor, " chosen"], layers: int, neurons: int
) -> Bool[Tensor, "layer neuron"]:
    mask = torch.zeros(layers * neurons, dtype=torch.bool)
    mask[chosen] = True
    return mask.view(layers, neurons)
