"""Attribution patching of a file of contrasts, and how far to trust it."""

import warnings
from pathlib import Path

import pandas as pd

from interp_rc.engine.cases import Into
from interp_rc.engine.effects import Effects
from interp_rc.engine.metrics import Metric
from interp_rc.engine.named_sites import named_sites
from interp_rc.facts.contrasts import read_contrasts
from interp_rc.mechanism.attribution import attribute
from interp_rc.mechanism.patching import patch
from interp_rc.mechanism.rank_correlation import rank_correlation
from interp_rc.models.machine import Device
from interp_rc.pipeline.effect_files import (
    Spread,
    check_files,
    in_bytes,
    load_here,
    summary,
    write_effects,
)
from interp_rc.records.errors import DataError
from interp_rc.records.numbers import Estimate

CHECKED = 8


def attribute_file(
    model: str,
    revision: str | None,
    pairs: Path,
    sites: list[str],
    out: Path,
    *,
    into: Into,
    metric: Metric = "log_prob",
    steps: int = 1,
    checked: int = CHECKED,
    memory: float | None = None,
    device: Device | Spread = "auto",
    figure: Path | None = None,
) -> tuple[pd.DataFrame, Estimate | None]:
    """Write the estimated effects to `out` and their map to `figure`; returns each site's mean
    with its interval, and the rank correlation with the exact effects of some contrasts: as many
    as are `checked`, spread over the file.

    Raises what `patch_file` and `attribute` raise; nothing is written then.
    """
    check_files(out, figure)
    contrasts = read_contrasts(pairs)
    loaded = load_here(model, revision, device)
    chosen = named_sites(loaded, contrasts, sites)
    limit = in_bytes(memory)
    effects = attribute(
        loaded, contrasts, chosen, metric=metric, into=into, steps=steps, memory=limit
    )
    agreement = None
    if checked:
        some = contrasts[:: -(-len(contrasts) // checked)]
        exact = patch(loaded, some, chosen, metric=metric, into=into, memory=limit, floor=False)
        ids = {one.id for one in some}
        same = Effects(effects.table[effects.table.pair.isin(ids)], effects.baselines)
        try:
            agreement = rank_correlation(same, exact)
        except DataError as error:
            warnings.warn(f"nothing is said of how well patch agrees: {error}", stacklevel=2)
    write_effects(effects, out, figure)
    return summary(effects), agreement
