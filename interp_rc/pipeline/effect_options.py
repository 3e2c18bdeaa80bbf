"""Options of `interp-rc patch`, `attribute` and `trace`: of the command and of what it runs."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from interp_rc.engine.names import Into, Metric

AnyDevice = Literal["auto", "cpu", "cuda", "mps", "spread"]
NUMBERLESS = {"pairs", "out", "figure", "device", "memory", "floor", "resume"}
"""Options that decide no effect by themselves; of the file of pairs, what it holds does."""


@dataclass(frozen=True, kw_only=True)
class PatchOptions:
    """Without an `intervention`, the other prompt's activations are put in, or those of
    `from_model`, or the model's own `without_adapters`. `memory` is in GiB."""

    model: str
    pairs: Path
    site: list[str]
    out: Path
    metric: Metric = "log_prob"
    intervention: Literal["prompt", "zero", "mean", "noise"] | None = None
    scale: float | None = None
    seed: int | None = None
    from_model: str | None = None
    without_adapters: bool = False
    into: Into = "corrupted"
    revision: str | None = None
    floor: bool | None = None
    figure: Path | None = None
    device: AnyDevice = "auto"
    memory: float | None = None
    resume: bool = False


@dataclass(frozen=True, kw_only=True)
class AttributeOptions:
    """As many contrasts as are `checked` are patched as well. `memory` is in GiB."""

    model: str
    pairs: Path
    site: list[str]
    out: Path
    metric: Literal["log_prob", "probability", "logit_difference", "kl"] = "log_prob"
    steps: int = 1
    checked: int = 8
    into: Into = "corrupted"
    revision: str | None = None
    figure: Path | None = None
    device: AnyDevice = "auto"
    memory: float | None = None


@dataclass(frozen=True, kw_only=True)
class TraceOptions:
    """Without sites, the published ones are restored, with windows of attention and MLPs over
    `window` layers (see `trace_sites`). `memory` is in GiB."""

    model: str
    pairs: Path
    out: Path
    site: list[str] | None = None
    draws: int = 10
    scale: float = 3.0
    window: int | None = None
    metric: Literal["probability", "log_prob", "rank", "kl"] = "probability"
    seed: int = 0
    revision: str | None = None
    figure: Path | None = None
    device: AnyDevice = "auto"
    memory: float | None = None
    resume: bool = False


def decisive(options: PatchOptions | TraceOptions) -> dict[str, object]:
    """All options that the effects depend on, by name."""
    return {name: one for name, one in asdict(options).items() if name not in NUMBERLESS}
