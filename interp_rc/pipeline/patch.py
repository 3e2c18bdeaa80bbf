"""Patching a file of contrasts, apart from any run."""

from pathlib import Path
from typing import Literal

import pandas as pd

from interp_rc.engine.cases import Into
from interp_rc.engine.interventions import (
    FromModel,
    FromPrompt,
    Intervention,
    Mean,
    Noise,
    WithoutAdapters,
    Zero,
)
from interp_rc.engine.metrics import Metric
from interp_rc.engine.named_sites import named_sites
from interp_rc.facts.contrasts import read_contrasts
from interp_rc.mechanism.patching import patch
from interp_rc.models.machine import Device
from interp_rc.pipeline.effect_files import (
    Spread,
    check_files,
    in_bytes,
    load_here,
    summary,
    write_effects,
)
from interp_rc.pipeline.so_far import SoFar
from interp_rc.records.errors import ConfigError

Named = Literal["prompt", "zero", "mean", "noise"]


def patch_file(
    model: str,
    revision: str | None,
    pairs: Path,
    sites: list[str],
    out: Path,
    *,
    into: Into,
    metric: Metric = "log_prob",
    intervention: Named | None = None,
    scale: float | None = None,
    seed: int | None = None,
    from_model: str | None = None,
    without_adapters: bool = False,
    floor: bool | None = None,
    memory: float | None = None,
    device: Device | Spread = "auto",
    figure: Path | None = None,
    resume: bool = False,
) -> pd.DataFrame:
    """Write the effects on every contrast to `out`, with their baselines, as `Effects.load` reads
    them, and their map to `figure`; returns each site's mean with its interval.

    Without an `intervention`, the other prompt's activations are given, or those of `from_model`,
    or the model's own `without_adapters`. `memory` is in GiB. What is found is kept beside `out`
    until all is; with `resume` an interrupted sweep continues there. Raises ConfigError for options
    that contradict each other, and what `read_contrasts`, `load`, `named_sites` and `patch` raise;
    no table is written then.
    """
    check_files(out, figure)
    _check_options(intervention, scale, seed, from_model, without_adapters)
    contrasts = read_contrasts(pairs)
    what = [metric, into, intervention, scale, seed, from_model, without_adapters]
    so_far = SoFar(out, ["patch", model, revision, contrasts, sites, *what], resume=resume)
    loaded = load_here(model, revision, device)
    chosen = named_sites(loaded, contrasts, sites)
    put = _chosen(intervention, scale, seed, from_model, without_adapters, device)
    effects = so_far.keep(
        lambda: patch(
            loaded,
            contrasts,
            chosen,
            metric=metric,
            into=into,
            intervention=put,
            memory=in_bytes(memory),
            floor=floor,
            resume=so_far.folder,
        )
    )
    write_effects(effects, out, figure)
    so_far.remove()
    return summary(effects)


def _check_options(
    intervention: Named | None,
    scale: float | None,
    seed: int | None,
    from_model: str | None,
    without_adapters: bool,
) -> None:
    """Raises ConfigError for options that contradict each other."""
    asked = {
        f"--intervention {intervention}": intervention is not None,
        "--from-model": from_model is not None,
        "--without-adapters": without_adapters,
    }
    chosen = [name for name, given in asked.items() if given]
    if len(chosen) > 1:
        raise ConfigError(
            f"{' and '.join(chosen)} contradict each other: each says what is put in; give one"
        )
    for name, value in (("--scale", scale), ("--seed", seed)):
        if value is not None and intervention != "noise":
            raise ConfigError(f"{name} is of noise; add --intervention noise, or leave it out")
    if intervention == "noise" and scale is None:
        raise ConfigError("noise needs its standard deviation; add --scale, e.g. --scale 0.1")


def _chosen(
    intervention: Named | None,
    scale: float | None,
    seed: int | None,
    from_model: str | None,
    without_adapters: bool,
    device: Device | Spread,
) -> Intervention:
    if from_model is not None:
        return FromModel(load_here(from_model, None, device))
    if without_adapters:
        return WithoutAdapters()
    match intervention:
        case "zero":
            return Zero()
        case "mean":
            return Mean()
        case "noise":
            return Noise(scale or 0.0, seed or 0)
    return FromPrompt()
