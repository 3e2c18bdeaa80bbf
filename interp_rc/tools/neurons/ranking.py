"""Which neurons make the difference between two facts: every neuron's share, to first order."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from tqdm import tqdm

from interp_rc.engine.cached import Cached
from interp_rc.engine.cases import Batch, BothRuns, Case, check_differ, in_itself, read_cases
from interp_rc.engine.run_patches import cached_batches
from interp_rc.engine.sites import Site, Token, tokens_of
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.adapters.parts import Place
from interp_rc.models.adapters.ragged import whole_prompts
from interp_rc.models.batching import pad
from interp_rc.models.load import Loaded
from interp_rc.records.nouns import Contrast
from interp_rc.tools.attribution.attribution import GradientBudget, gradients_at
from interp_rc.tools.neurons.coefficients import per_prompt
from interp_rc.tools.neurons.key_values import key_values

Pairs = tuple[Int[Tensor, " token"], Int[Tensor, " token"], Int[Tensor, " token"]]
"""Contrast (by its place in the batch), position in the clean and in the corrupted prompt."""


Means = Mapping[tuple[str | None, int], Float[Tensor, " neuron"]]
"""By order and layer."""


class Ranking(NamedTuple):
    """For every contrast (row), layer and neuron.

    `score`: what its coefficients at the span's tokens contribute to the log-probability of the
    target, clean less corrupted, in nats: (clean - corrupted coefficient) times the mean of the
    gradients in both runs, summed over tokens. `own`: the score of those tokens where the clean
    coefficient is further from the mean over the clean prompts of the order than the corrupted
    one: the clean fact's own neurons, without those of the other fact, whose silence counts as
    well. `write`: the squared length of what the difference of its coefficients writes, summed
    over tokens. `rises`: whether its coefficients are higher in the clean prompt, all tokens
    together.

    An estimate: where a neuron's share depends on another's (what one alone does to a norm, say),
    it is not what `patch` finds of the neuron alone.
    """

    score: Float[Tensor, "contrast layer neuron"]
    own: Float[Tensor, "contrast layer neuron"]
    write: Float[Tensor, "contrast layer neuron"]
    rises: Bool[Tensor, "contrast layer neuron"]

    def of(self, contrasts: Sequence[int]) -> "Ranking":
        """Of some contrasts, by number."""
        return Ranking(*(one[contrasts] for one in self))

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
    check_differ(cases)
    both = coefficient_runs(adapter, cases, memory)
    means = mean_coefficients(both, span, token)
    lengths = [
        key_values(adapter, layer).values.norm(dim=1).to(both.taking.home)
        for layer in range(adapter.layers)
    ]
    numbers: list[int] = []
    parts: list[Ranking] = []
    budget = GradientBudget(both.by_layers, memory, max(len(one.clean.reads) for one in cases))
    with torch.no_grad(), tqdm(total=len(cases), desc="neurons", disable=None) as bar:
        for batch in cached_batches(both, budget):
            of_batch = [cases[number] for number in batch.numbers]
            pairs = token_pairs(of_batch, span, token, both.taking.home)
            parts.append(_ranked(both, batch, of_batch, pairs, means, lengths))
            numbers += batch.numbers
            bar.update(len(batch.numbers))
    # Batches hold contrasts of like length together.
    as_given = torch.tensor(numbers).argsort()
    return Ranking(*(torch.cat(column)[as_given] for column in zip(*parts, strict=True)))


def _ranked(
    both: BothRuns,
    batch: Batch,
    cases: Sequence[Case],
    pairs: Pairs,
    means: Means,
    lengths: Sequence[Float[Tensor, " neuron"]],
) -> Ranking:
    """Of a batch's contrasts, in no more digits than the model has."""
    row, clean, corrupted = pairs
    kept = torch.promote_types(both.taking.model.dtype, torch.float32)
    at_clean = _gradients(both, [case.clean.ids for case in cases], batch.giving)
    at_corrupted = _gradients(both, [case.corrupted.ids for case in cases], batch.taking)
    layers = []
    for layer, length in enumerate(lengths):
        place = Place("mlp_post", layer)
        given = batch.giving.values(place, row, clean).double()
        taken = batch.taking.values(place, row, corrupted).double()
        change, usual = given - taken, means_at(means, layer, cases, row)
        slopes = (
            _slopes(batch.giving, at_clean[place], row, clean),
            _slopes(batch.taking, at_corrupted[place], row, corrupted),
        )
        share = change * (slopes[0] + slopes[1]) / 2
        own = share.where((given - usual).abs() > (taken - usual).abs(), 0.0)
        sums = [share, own, (change * length) ** 2, change]
        layers.append([per_prompt(one, row, len(cases)) for one in sums])
    score, own, write, rise = (torch.stack(one, 1) for one in zip(*layers, strict=True))
    return Ranking(score.to(kept), own.to(kept), write.to(kept), rise > 0)


def coefficient_runs(adapter: Adapter, cases: Sequence[Case], memory: int | None) -> BothRuns:
    """Both runs of every contrast, with all coefficients kept."""
    runs, places = adapter.by_layers, neuron_places(adapter)
    return BothRuns(
        cases=cases, clean=runs, corrupted=runs, given=places, kept=places, memory=memory
    )


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


def mean_coefficients(both: BothRuns, span: str, token: Token) -> Means:
    """Over the span's tokens of all clean prompts of an order, in float64: names are not averaged
    with descriptions."""
    orders = [case.contrast.order for case in both.cases]
    sums: dict[tuple[str | None, int], Tensor] = {}
    counts: Counter[str | None] = Counter()
    for batch in cached_batches(both, both.budget()):
        of_batch = [both.cases[number] for number in batch.numbers]
        row, clean = clean_tokens(of_batch, span, token, both.taking.home)
        asked = [orders[batch.numbers[n]] for n in row.tolist()]
        for order in dict.fromkeys(asked):
            mine = torch.tensor([one == order for one in asked], device=row.device)
            counts[order] += int(mine.sum())
            for place in both.given:
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
    cached: Cached, gradients: Float[Tensor, "token neuron"], row: Tensor, position: Tensor
) -> Float[Tensor, "token neuron"]:
    """Of the metric at tokens of the cached runs, in float64."""
    return gradients[whole_prompts(cached.lengths).begins[row] + position].double()


def _gradients(both: BothRuns, ids: Sequence[list[int]], cached: Cached) -> dict[Place, Tensor]:
    runs = both.by_layers
    padded, _ = pad(ids, runs.home)
    with runs.opened():
        return gradients_at(runs, padded, cached, cached.stream[0], both.given, both.metric)


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
