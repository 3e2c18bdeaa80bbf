"""A sweep of interventions: both runs of every contrast, cached in batches that fit into memory."""

from collections.abc import Collection, Container, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, get_args

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from interp_rc.engine.cached import Cached, cache
from interp_rc.engine.full_passes import FullPasses
from interp_rc.engine.inputs import Input, inputs_of
from interp_rc.engine.memory import Budget, default_memory
from interp_rc.engine.metrics import METRICS, Metric, log_probs_at
from interp_rc.engine.store import Store
from interp_rc.engine.waves import unpatched
from interp_rc.models.adapters.layerwise import Layerwise
from interp_rc.models.adapters.parts import Place
from interp_rc.models.batching import batch_by_length
from interp_rc.models.load import Loaded
from interp_rc.models.machine import is_small
from interp_rc.records.errors import ConfigError, DataError
from interp_rc.records.nouns import Contrast

Into = Literal["corrupted", "clean"]
INTO: tuple[Into, ...] = get_args(Into)


class Case(NamedTuple):
    """A contrast as its two runs read it; `noise` is added to what the corrupted one reads."""

    contrast: Contrast
    clean: Input
    corrupted: Input
    noise: Float[Tensor, "position width"] | None = None


class Batch(NamedTuple):
    """Some cases (by number) with both runs cached, and the metric of both, clean first."""

    numbers: Sequence[int]
    giving: Cached
    taking: Cached
    known: Sequence[tuple[float, float]]


@dataclass(slots=True)
class Sweep:
    """What is cached of which cases: the places `given` of the run that gives, `kept` of the run
    that takes, for how many `sites`. The runs may be of two models."""

    cases: Sequence[Case]
    clean: Layerwise | FullPasses
    corrupted: Layerwise | FullPasses
    metric: Metric
    into: Into
    given: Collection[Place]
    kept: Collection[Place]
    sites: int
    memory: int | None = None
    store: Store | None = None

    @property
    def taking(self) -> Layerwise | FullPasses:
        return self.corrupted if self.into == "corrupted" else self.clean

    @property
    def by_layers(self) -> Layerwise:
        """`taking`, of tools that go layer by layer."""
        assert isinstance(self.taking, Layerwise)
        return self.taking

    @property
    def giving(self) -> Layerwise | FullPasses:
        return self.clean if self.into == "corrupted" else self.corrupted

    def budget(self) -> Budget:
        model = self.taking.model
        memory = default_memory(self.taking.home) if self.memory is None else self.memory
        return Budget(self.taking, memory, torch.get_num_threads() if is_small(model) else 1)

    def batches(self, budget: Budget, done: Container[int] = ()) -> Iterator[Batch]:
        """Of the cases that are not `done`."""
        for numbers in self._fitting(budget, done):
            cases = [self.cases[number] for number in numbers]
            places = {"clean": self.given, "corrupted": self.kept}
            if self.into == "clean":
                places = {"clean": self.kept, "corrupted": self.given}
            with self.clean.opened():
                clean = _cached(self.clean, [case.clean for case in cases], places["clean"])
                reference = self._reference(clean)
                clean.asked.reference, clean.asked.at_once = reference, budget.unembedded
                known = [unpatched(self.clean, clean, self.metric).tolist()]
            with self.corrupted.opened():
                corrupted = _cached(
                    self.corrupted,
                    [case.corrupted for case in cases],
                    places["corrupted"],
                    _padded_noise(cases),
                )
                corrupted.asked.reference, corrupted.asked.at_once = reference, budget.unembedded
                known.append(unpatched(self.corrupted, corrupted, self.metric).tolist())
            both = (clean, corrupted) if self.into == "corrupted" else (corrupted, clean)
            yield Batch(numbers, *both, list(zip(*known, strict=True)))

    def _reference(self, clean: Cached) -> Float[Tensor, "read vocabulary"] | None:
        if self.metric != "kl":
            return None
        return log_probs_at(self.clean, clean.stream[-1][clean.asked.read])

    def _fitting(self, budget: Budget, done: Container[int]) -> list[list[int]]:
        """Cases of like length together, as many as fit."""
        left = [number for number in range(len(self.cases)) if number not in done]
        both = [(self.cases[number].clean, self.cases[number].corrupted) for number in left]
        sizes = [max(len(clean.ids), len(corrupted.ids)) for clean, corrupted in both]

        def fits(some: Sequence[int]) -> bool:
            each = budget.of_pair(sizes[some[-1]], self.given, self.kept, self.sites)
            return len(some) * each <= budget.cached

        return [[left[n] for n in some] for some in batch_by_length(self.taking.model, sizes, fits)]


def _cached(
    runs: Layerwise | FullPasses,
    inputs: Sequence[Input],
    keep: Collection[Place],
    noise: Float[Tensor, "prompt position width"] | None = None,
) -> Cached:
    if isinstance(runs, FullPasses):
        return runs.cache(inputs, keep, noise)
    return cache(runs, inputs, keep, noise)


def _padded_noise(cases: Sequence[Case]) -> Float[Tensor, "prompt position width"] | None:
    given = [case.noise for case in cases if case.noise is not None]
    if not given:
        return None
    return pad_sequence(given, batch_first=True)


def read_cases(
    clean_model: Loaded, corrupted_model: Loaded, contrasts: Sequence[Contrast], metric: Metric
) -> list[Case]:
    """Both prompts of every contrast as token ids; foils only where the metric needs them.

    Raises DataError if a target has other tokens after one prompt than after the other.
    """
    foils = [c.foil for c in contrasts] if metric == "logit_difference" else None
    clean = inputs_of(clean_model, contrasts, "clean", foils=foils)
    corrupted = inputs_of(corrupted_model, contrasts, "corrupted", foils=foils)
    cases = [Case(*three) for three in zip(contrasts, clean, corrupted, strict=True)]
    for contrast, one, other, _ in cases:
        if one.targets != other.targets:
            raise DataError(
                f"{contrast.named}: the target {contrast.target!r} has other tokens after "
                "the corrupted prompt; begin it with the space that separates it"
            )
        if one.foils == one.targets:
            raise DataError(
                f"{contrast.named}: the foil {contrast.foil!r} has the tokens of the target "
                f"{contrast.target!r}, so their difference is zero; give another foil"
            )
    return cases


def in_itself(contrast: Contrast, which: Into) -> Contrast:
    """The contrast with one of its prompts in both places."""
    prompt, number = getattr(contrast, which), which == "corrupted"
    spans = {name: [both[number], both[number]] for name, both in contrast.spans.items()}
    return replace(contrast, clean=prompt, corrupted=prompt, spans=spans)


def check_differ(cases: Sequence[Case]) -> None:
    """Raises DataError for a contrast whose prompts have the same tokens: whatever is exchanged
    between them, nothing changes."""
    for case in cases:
        if case.clean.ids == case.corrupted.ids:
            raise DataError(
                f"{case.contrast.named}: the clean and the corrupted prompt have the same tokens, "
                "so nothing can be told apart by exchanging what they have; corrupt what the "
                "target depends on"
            )


def check(contrasts: Sequence[Contrast], asked: Collection[object], metric: str, into: str) -> None:
    """Raises ConfigError for what no sweep can be made of."""
    if not contrasts or not asked:
        raise ConfigError("there is nothing to patch; give one contrast and one site at least")
    for name, value, known in (("metric", metric, METRICS), ("into", into, INTO)):
        if value not in known:
            raise ConfigError(f"no {name} {value!r}; known: {', '.join(known)}")
    if len({c.id for c in contrasts}) < len(contrasts):
        raise ConfigError("two contrasts have the same id; give each its own")
    if metric == "logit_difference":
        for contrast in contrasts:
            if contrast.foil is None:
                raise DataError(
                    f"{contrast.named} has no foil, which a logit difference needs; add "
                    "one, or choose another metric"
                )
