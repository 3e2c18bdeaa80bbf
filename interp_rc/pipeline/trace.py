"""Causal tracing of a file of prompts, apart from any run."""

import pandas as pd

from interp_rc.engine.named_sites import named_sites
from interp_rc.facts.tracings import read_tracings
from interp_rc.pipeline.effect_files import (
    check_files,
    in_bytes,
    load_here,
    summary,
    write_effects,
)
from interp_rc.pipeline.effect_options import TraceOptions, decisive
from interp_rc.pipeline.so_far import SoFar
from interp_rc.records.errors import ConfigError
from interp_rc.tools.patching.tracing import trace, trace_sites


def trace_file(options: TraceOptions) -> pd.DataFrame:
    """Write what restoring each site does to every prompt of the file to `out`, and the map to
    `figure`; returns each site's mean with its interval.

    What is found is kept beside `out` until all is; with `resume` an interrupted sweep continues
    there. Raises ConfigError for options that contradict each other, and what `read_tracings`,
    `load`, `named_sites` and `trace` raise; nothing is written then.
    """
    check_files(options.out, options.figure)
    if options.site and options.window is not None:
        raise ConfigError(
            f"--site and --window contradict each other: write the window into the site, e.g. "
            f"mlp_out.*x{options.window}@A.last"
        )
    tracings = read_tracings(options.pairs)
    command = ["trace", tracings, decisive(options)]
    so_far = SoFar(options.out, command, resume=options.resume)
    loaded = load_here(options.model, options.revision, options.device)
    contrasts = [one.contrast for one in tracings]
    sites = (
        named_sites(loaded, contrasts, options.site)
        if options.site
        else trace_sites(loaded, tracings, window=options.window)
    )
    effects = so_far.keep(
        lambda: trace(
            loaded,
            tracings,
            sites,
            metric=options.metric,
            draws=options.draws,
            scale=options.scale,
            seed=options.seed,
            memory=in_bytes(options.memory),
            resume=so_far.folder,
        )
    )
    write_effects(effects, options.out, options.figure)
    so_far.remove()
    return summary(effects)
