"""Patching a file of contrasts, apart from any run."""

import pandas as pd

from interp_rc.engine.interventions import (
    FromModel,
    FromPrompt,
    Intervention,
    Mean,
    Noise,
    WithoutAdapters,
    Zero,
)
from interp_rc.engine.named_sites import named_sites
from interp_rc.facts.contrasts import read_contrasts
from interp_rc.pipeline.effect_files import (
    check_files,
    in_bytes,
    load_here,
    summary,
    write_effects,
)
from interp_rc.pipeline.effect_options import PatchOptions, decisive
from interp_rc.pipeline.so_far import SoFar
from interp_rc.records.errors import ConfigError
from interp_rc.tools.patching.patching import patch


def patch_file(options: PatchOptions) -> pd.DataFrame:
    """Write the effects on every contrast to `out`, with their baselines, as `Effects.load` reads
    them, and their map to `figure`; returns each site's mean with its interval.

    What is found is kept beside `out` until all is; with `resume` an interrupted sweep continues
    there. Raises ConfigError for options that contradict each other, and what `read_contrasts`,
    `load`, `named_sites` and `patch` raise; no table is written then.
    """
    check_files(options.out, options.figure)
    _check(options)
    contrasts = read_contrasts(options.pairs)
    command = ["patch", contrasts, decisive(options)]
    so_far = SoFar(options.out, command, resume=options.resume)
    loaded = load_here(options.model, options.revision, options.device)
    sites = named_sites(loaded, contrasts, options.site)
    intervention = _intervention(options)
    effects = so_far.keep(
        lambda: patch(
            loaded,
            contrasts,
            sites,
            metric=options.metric,
            into=options.into,
            intervention=intervention,
            memory=in_bytes(options.memory),
            floor=options.floor,
            resume=so_far.folder,
        )
    )
    write_effects(effects, options.out, options.figure)
    so_far.remove()
    return summary(effects)


def _check(options: PatchOptions) -> None:
    """Raises ConfigError for options that contradict each other."""
    asked = {
        f"--intervention {options.intervention}": options.intervention is not None,
        "--from-model": options.from_model is not None,
        "--without-adapters": options.without_adapters,
    }
    chosen = [name for name, given in asked.items() if given]
    if len(chosen) > 1:
        raise ConfigError(
            f"{' and '.join(chosen)} contradict each other: each says what is put in; give one"
        )
    for name, value in (("--scale", options.scale), ("--seed", options.seed)):
        if value is not None and options.intervention != "noise":
            raise ConfigError(f"{name} is of noise; add --intervention noise, or leave it out")
    if options.intervention == "noise" and options.scale is None:
        raise ConfigError("noise needs its standard deviation; add --scale, e.g. --scale 0.1")


def _intervention(options: PatchOptions) -> Intervention:
    if options.from_model is not None:
        return FromModel(load_here(options.from_model, None, options.device))
    if options.without_adapters:
        return WithoutAdapters()
    match options.intervention:
        case "zero":
            return Zero()
        case "mean":
            return Mean()
        case "noise":
            return Noise(options.scale or 0.0, options.seed or 0)
    return FromPrompt()
