"""What patches are run on: both prompts of every contrast, and which runs of them are kept."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from interp_rc.engine.cached import Cached
from interp_rc.engine.full_passes import FullPasses
from interp_rc.engine.inputs import Input, inputs_of
from interp_rc.engine.memory import Budget, default_memory
from interp_rc.engine.names import INTO, METRICS, Into, Metric
from interp_rc.models.adapters.layerwise import Layerwise
from interp_rc.models.adapters.parts import Place
from interp_rc.models.load import Loaded
from interp_rc.models.machine import is_small
from interp_rc.records.errors import ConfigError, DataError
from interp_rc.records.nouns import Contrast


class Case(NamedTuple):
    """A contrast as its two runs read it; `noise` is added to what the corrupted one reads."""

    contrast: Contrast
    clean: Input
    corrupted: Input
    noise: Float[Tensor, "position width"] | None = None

    def taking(self, into: Into) -> Input:
        """The prompt that is patched."""
        return self.corrupted if into == "corrupted" else self.clean

    @property
    def is_one_token(self) -> bool:
        """Whether target and foil are."""
        return len(self.clean.targets) == 1 and self.clean.foils is not None


class Batch(NamedTuple):
    """Some cases (by number) with both runs cached, and the metric of both, clean first."""

    numbers: Sequence[int]
    giving: Cached
    taking: Cached
    known: Sequence[tuple[float, float]]


@dataclass(slots=True, kw_only=True)
class BothRuns:
    """Of all cases: what runs the clean and the corrupted prompts, which may be two models, and
    which places are cached, `given` of the run that gives and `kept` of the run that takes, for how
    many `patches`."""

    cases: Sequence[Case]
    clean: Layerwise | FullPasses
    corrupted: Layerwise | FullPasses
    given: Collection[Place]
    kept: Collection[Place]
    metric: Metric = "log_prob"
    into: Into = "corrupted"
    patches: int = 1
    memory: int | None = None

    @property
    def taking(self) -> Layerwise | FullPasses:
        return self.corrupted if self.into == "corrupted" else self.clean

    @property
    def by_layers(self) -> Layerwise:
        """`taking`, for what goes layer by layer."""
        assert isinstance(self.taking, Layerwise)
        return self.taking

    @property
    def giving(self) -> Layerwise | FullPasses:
        return self.clean if self.into == "corrupted" else self.corrupted

    def budget(self) -> Budget:
        model = self.taking.model
        memory = default_memory(self.taking.home) if self.memory is None else self.memory
        return Budget(self.taking, memory, torch.get_num_threads() if is_small(model) else 1)


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
