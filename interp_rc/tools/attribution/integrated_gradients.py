"""Integrated gradients and input x gradient of log p(target | prompt), token by token."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm import tqdm

from interp_rc.engine.cached import Cached, cache
from interp_rc.engine.inputs import Input, inputs_of
from interp_rc.engine.metrics import measured
from interp_rc.engine.sites import same_length
from interp_rc.engine.waves import unpatched
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.adapters.layerwise import Layerwise, See, Stream, unchanged
from interp_rc.models.adapters.parts import STREAM, Component, Place
from interp_rc.models.adapters.ragged import Attending, Layout, Masks, whole_prompts
from interp_rc.models.batching import batch_by_length
from interp_rc.models.load import Loaded
from interp_rc.records.errors import ConfigError
from interp_rc.records.nouns import Contrast
from interp_rc.tools.attribution.attribution import GradientBudget

Baseline = Literal["mean", "zero", "corrupted"]
BASELINES: tuple[Baseline, ...] = get_args(Baseline)
TOLERANCE = 0.01  # of what is attributed, or of one nat if that is less than a nat
FEWEST, MOST = 8, 128  # steps
Values = Float[Tensor, "token width"]


@dataclass(frozen=True, slots=True)
class Attributed:
    """What a contrast's clean run owes to each of its tokens at one place, in nats.

    `whole` = log p(actual) - log p(baseline), which `integrated` should add up to; `steps` of the
    quadrature were taken. A causal model's last token, which nothing reads, is left out.
    """

    contrast: Contrast
    input: Input
    place: Place
    integrated: Float[Tensor, " token"]
    times_gradient: Float[Tensor, " token"]
    whole: float
    steps: int
    tolerance: float

    @property
    def completeness(self) -> float:
        """What the sum of the attributions has too much, in nats; zero for an exact integral."""
        return float(self.integrated.sum()) - self.whole

    @property
    def complete(self) -> bool:
        return abs(self.completeness) <= self.tolerance * max(1.0, abs(self.whole))


def streams(layers: int) -> list[Place]:
    """What each layer reads, and what the last one gives."""
    return [*(Place("resid_pre", i) for i in range(layers)), Place("resid_post", layers - 1)]


def integrated_gradients(
    model: Loaded,
    contrasts: Sequence[Contrast],
    places: Sequence[Place] | None = None,
    *,
    baseline: Baseline = "mean",
    tolerance: float = TOLERANCE,
    most: int = MOST,
    memory: int | None = None,
) -> list[Attributed]:
    """Attribute log p(target | clean prompt) to the tokens at each place (default: `streams`).

    Sundararajan et al. 2017 (arXiv:1703.01365, eq. 1): the path runs straight from a baseline to
    the actual activations, at all tokens of the place at once; the layers from there on run again
    at Gauss-Legendre points of it, and what a token gets is its change times the integral of its
    gradient. The baseline is the mean over all prompts' tokens at that place, `zero`, or what the
    `corrupted` prompt has there. Steps are doubled from 8 up to `most` until the sum is that of
    proposition 1 (completeness) to within `tolerance` of it (or of one nat, if it is less); what
    falls short is given as it is, and says so by `complete` and `completeness`.

    Input x gradient (Shrikumar et al. 2016, arXiv:1605.01713, eq. 1) is taken at the actual
    activations. It promises no sum: behind a norm, which forgets lengths, it adds up to zero. For
    the same reason a path from `zero` changes all at its very beginning, where no quadrature
    follows it.

    Raises ConfigError for nothing to attribute, a place that is not part of the stream or its
    sums, an unknown baseline, or tolerance and steps that are not positive; DataError for prompts
    of unequal length with the baseline `corrupted`; ModelError for a family without an adapter.
    """
    runs = Adapter(model.model).by_layers
    places = streams(runs.layers) if places is None else places
    _check(runs, contrasts, places, baseline, tolerance, most)
    inputs = inputs_of(model, contrasts, "clean")
    others: Sequence[Input] = ()
    if baseline == "corrupted":
        others = inputs_of(model, contrasts, "corrupted")
        for contrast, one, two in zip(contrasts, inputs, others, strict=True):
            same_length(contrast, len(one.ids), len(two.ids))
    found: dict[tuple[int, Place], Attributed] = {}
    with torch.no_grad(), runs.opened():
        plan = list(_batches(runs, inputs, places, memory))
        means = _means(runs, inputs, places, plan) if baseline == "mean" else {}
        with tqdm(total=len(contrasts), desc="integrated gradients", disable=None) as bar:
            for numbers, at_once in plan:
                cached = cache(runs, [inputs[i] for i in numbers], places)
                other = cache(runs, [others[i] for i in numbers], places) if others else None
                actual_nats = unpatched(runs, cached, "log_prob")
                for place in places:
                    path = _Path(runs, cached, place, at_once, means.get(place), other)
                    whole = actual_nats - path.nats_at_baseline()
                    integrated, steps = path.integrate(whole, tolerance, most)
                    times = path.times_gradient()
                    for row, number in enumerate(numbers):
                        tokens = slice(int(cached.lengths[row]))
                        found[number, place] = Attributed(
                            contrasts[number],
                            inputs[number],
                            place,
                            integrated[row, tokens].cpu(),
                            times[row, tokens].cpu(),
                            float(whole[row]),
                            int(steps[row]),
                            tolerance,
                        )
                bar.update(len(numbers))
    return [found[number, place] for number in range(len(contrasts)) for place in places]


def _check(
    runs: Layerwise,
    contrasts: Sequence[Contrast],
    places: Sequence[Place],
    baseline: str,
    tolerance: float,
    most: int,
) -> None:
    if not contrasts or not places:
        raise ConfigError("there is nothing to attribute; give one contrast and one place at least")
    if baseline not in BASELINES:
        raise ConfigError(f"no baseline {baseline!r}; known: {', '.join(BASELINES)}")
    if tolerance <= 0 or most < 1:
        raise ConfigError(f"tolerance {tolerance} and {most} steps; both must be positive")
    for place in places:
        parallel = place.component == "resid_mid" and runs.parts.blocks[0].parallel
        if place.component not in STREAM or place.layer not in range(runs.layers) or parallel:
            raise ConfigError(
                f"no gradients at {place.name}; name one of {', '.join(STREAM)} of layers 0 to "
                f"{runs.layers - 1} that this model has"
            )


def _batches(
    runs: Layerwise, inputs: Sequence[Input], places: Sequence[Place], memory: int | None
) -> Iterator[tuple[list[int], int]]:
    """Inputs of like length together, and how many may go through the layers at once."""
    budget = GradientBudget(runs, memory, max(len(one.reads) for one in inputs))
    lengths = [len(one.ids) for one in inputs]

    def most(tokens: int) -> int:
        return budget.cached // budget.of_pair(tokens, places, places, len(places))

    def fits(some: Sequence[int]) -> bool:
        return len(some) <= most(lengths[some[-1]])

    for numbers in batch_by_length(runs.model, lengths, fits):
        longest = lengths[numbers[-1]]
        yield numbers, max(1, min(most(longest), budget.tokens // longest))


def _means(
    runs: Layerwise,
    inputs: Sequence[Input],
    places: Sequence[Place],
    plan: Sequence[tuple[list[int], int]],
) -> dict[Place, Float[Tensor, " width"]]:
    """Over the tokens of all prompts; those of targets are left out."""
    sums: dict[Place, Tensor] = {}
    count = 0
    for numbers, _ in plan:
        cached = cache(runs, [inputs[i] for i in numbers], places)
        layout = whole_prompts(cached.lengths)
        start = torch.tensor([inputs[i].start for i in numbers], device=layout.row.device)
        prompt = layout.position < start[layout.row]
        count += int(prompt.sum())
        for place in places:
            values = cached.values(place, layout.row[prompt], layout.position[prompt])
            total = values.double().sum(0)
            sums[place] = sums[place] + total if place in sums else total
    return {place: total / count for place, total in sums.items()}


class _Points(NamedTuple):
    """Some of a batch's prompts on their way, each at one point of its path."""

    prompts: Int[Tensor, " row"]
    layout: Layout
    prompt: Int[Tensor, " token"]
    begin: Values
    change: Values


@dataclass(slots=True)
class _Path:
    """From baseline to actual activations of some cached prompts, at one place."""

    runs: Layerwise
    cached: Cached
    place: Place
    at_once: int
    mean: Float[Tensor, " width"] | None
    other: Cached | None

    def nats_at_baseline(self) -> Float[Tensor, " prompt"]:
        parts = torch.split(self._every(), self.at_once)
        return torch.cat([self._nats(at := self._points(part), at.begin) for part in parts])

    def times_gradient(self) -> Float[Tensor, "prompt position"]:
        found = self._nothing()
        for part in torch.split(self._every(), self.at_once):
            at = self._points(part)
            actual = at.begin + at.change
            products = (actual.double() * self._gradient(at, actual).double()).sum(-1)
            found[at.prompt, at.layout.position] = products
        return found

    def integrate(
        self, whole: Float[Tensor, " prompt"], tolerance: float, most: int
    ) -> tuple[Float[Tensor, "prompt position"], Int[Tensor, " prompt"]]:
        """Attributions, and the steps that each prompt took."""
        found, steps = self._nothing(), torch.zeros(len(whole), dtype=torch.long)
        left, n = self._every(), min(FEWEST, most)
        while len(left):
            found[left] = 0.0
            self._add(found, left, n)
            steps[left.cpu()] = n
            n *= 2
            if n > most:
                break
            near = tolerance * whole[left].abs().clamp(min=1.0)
            short = (found[left].sum(-1) - whole[left]).abs() > near
            left = left[short]
        return found, steps

    def _add(self, found: Float[Tensor, "prompt position"], left: Tensor, n: int) -> None:
        """The integral over [0, 1] by n Gauss-Legendre points, of the prompts that are left."""
        nodes, weights = (torch.from_numpy(one) for one in np.polynomial.legendre.leggauss(n))
        shares = ((nodes + 1) / 2).repeat(len(left)).to(left.device)
        weight = (weights / 2).repeat(len(left)).to(left.device)
        prompts = left.repeat_interleave(n)
        every = torch.arange(len(prompts), device=left.device)
        for part in torch.split(every, self.at_once):
            at = self._points(prompts[part])
            row = at.layout.row
            value = at.begin + (shares[part][row, None] * at.change).to(at.begin)
            products = (self._gradient(at, value).double() * at.change.double()).sum(-1)
            where = at.prompt, at.layout.position
            found.index_put_(where, weight[part][row] * products, accumulate=True)

    def _every(self) -> Int[Tensor, " prompt"]:
        return torch.arange(len(self.cached.lengths), device=self.cached.lengths.device)

    def _nothing(self) -> Float[Tensor, "prompt position"]:
        return self.cached.lengths.new_zeros(
            len(self.cached.lengths), self.cached.positions, dtype=torch.float64
        )

    def _points(self, prompts: Int[Tensor, " row"]) -> _Points:
        layout = whole_prompts(self.cached.lengths[prompts])
        prompt = prompts[layout.row]
        actual = self.cached.values(self.place, prompt, layout.position)
        if self.other is not None:
            begin = self.other.values(self.place, prompt, layout.position)
        elif self.mean is not None:
            begin = self.mean.to(actual).expand_as(actual)
        else:
            begin = torch.zeros_like(actual)
        return _Points(prompts, layout, prompt, begin, actual - begin)

    @torch.enable_grad()
    def _gradient(self, at: _Points, value: Values) -> Values:
        value = value.detach().requires_grad_()
        [gradient] = torch.autograd.grad(self._nats(at, value).sum(), value)
        return gradient

    def _nats(self, at: _Points, value: Values) -> Float[Tensor, " row"]:
        """log p(target) with `value` at the place, by running the layers from there on."""
        runs, layout, (component, layer) = self.runs, at.layout, self.place
        lengths = self.cached.lengths[at.prompts]
        masks: Masks = {}
        whole: Stream | None = value if component in ("resid_pre", "resid_post") else None
        first = layer + (component == "resid_post")
        line = self.cached.stream[layer][at.prompt, layout.position] if whole is None else whole

        def put(shown: Component, own: Tensor) -> Tensor:
            return value if shown == component else own

        for number in range(first, runs.layers):
            see: See = put if whole is None and number == layer else unchanged
            ragged = Attending(layout, lengths, runs.parts.causal, None, masks)
            line = runs.block(number, line, ragged, see)
        read = self.cached.asked.read[at.prompt, layout.position]
        where = at.prompt[read], layout.position[read]
        asked, row = self.cached.asked, layout.row[read]
        return measured("log_prob", runs, asked, line[read], where, row, len(at.prompts))
