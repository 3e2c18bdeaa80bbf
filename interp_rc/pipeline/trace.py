"""Causal tracing of a file of prompts, apart from any run."""

from pathlib import Path

import pandas as pd

from interp_rc.engine.metrics import Metric
from interp_rc.engine.named_sites import named_sites
from interp_rc.facts.tracings import read_tracings
from interp_rc.mechanism.tracing import DRAWS, SCALE, trace, trace_sites
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


def trace_file(
    model: str,
    revision: str | None,
    pairs: Path,
    sites: list[str] | None,
    out: Path,
    *,
    draws: int = DRAWS,
    scale: float = SCALE,
    window: int | None = None,
    metric: Metric = "probability",
    seed: int = 0,
    memory: float | None = None,
    device: Device | Spread = "auto",
    figure: Path | None = None,
    resume: bool = False,
) -> pd.DataFrame:
    """Write what restoring each site does to every prompt of the file to `out`, and the map to
    `figure`; returns each site's mean with its interval.

    Without `sites`, the published ones, with windows of attention and MLPs over `window` layers
    (see `trace_sites`).
    `memory` is in GiB. What is found is kept beside `out` until all is; with `resume` an
    interrupted sweep continues there. Raises ConfigError for options that contradict each other,
    and what `read_tracings`, `load`, `named_sites` and `trace` raise; nothing is written then.
    """
    check_files(out, figure)
    if sites and window is not None:
        raise ConfigError(
            f"--site and --window contradict each other: write the window into the site, e.g. "
            f"mlp_out.*x{window}@A.last"
        )
    tracings = read_tracings(pairs)
    what = [sites, draws, scale, window, metric, seed]
    so_far = SoFar(out, ["trace", model, revision, tracings, *what], resume=resume)
    loaded = load_here(model, revision, device)
    contrasts = [one.contrast for one in tracings]
    chosen = (
        named_sites(loaded, contrasts, sites)
        if sites
        else trace_sites(loaded, tracings, window=window)
    )
    effects = so_far.keep(
        lambda: trace(
            loaded,
            tracings,
            chosen,
            metric=metric,
            draws=draws,
            scale=scale,
            seed=seed,
            memory=in_bytes(memory),
            resume=so_far.folder,
        )
    )
    write_effects(effects, out, figure)
    so_far.remove()
    return summary(effects)
