"""Attribution patching of a file of contrasts, and how far to trust it."""

import warnings

import pandas as pd

from interp_rc.engine.effects import Effects
from interp_rc.engine.named_sites import named_sites
from interp_rc.facts.contrasts import read_contrasts
from interp_rc.pipeline.effect_files import (
    check_files,
    in_bytes,
    load_here,
    summary,
    write_effects,
)
from interp_rc.pipeline.effect_options import AttributeOptions
from interp_rc.records.errors import DataError
from interp_rc.records.numbers import Estimate
from interp_rc.tools.attribution.attribution import attribute
from interp_rc.tools.attribution.rank_correlation import rank_correlation
from interp_rc.tools.patching.patching import patch


def attribute_file(options: AttributeOptions) -> tuple[pd.DataFrame, Estimate | None]:
    """Write the estimated effects to `out` and their map to `figure`; returns each site's mean
    with its interval, and the rank correlation with the exact effects of the contrasts that are
    `checked`, spread over the file.

    Raises what `patch_file` and `attribute` raise; nothing is written then.
    """
    check_files(options.out, options.figure)
    contrasts = read_contrasts(options.pairs)
    loaded = load_here(options.model, options.revision, options.device)
    sites = named_sites(loaded, contrasts, options.site)
    metric, into, memory = options.metric, options.into, in_bytes(options.memory)
    effects = attribute(
        loaded, contrasts, sites, metric=metric, into=into, steps=options.steps, memory=memory
    )
    agreement = None
    if options.checked:
        some = contrasts[:: -(-len(contrasts) // options.checked)]
        exact = patch(loaded, some, sites, metric=metric, into=into, memory=memory, floor=False)
        ids = {one.id for one in some}
        same = Effects(effects.table[effects.table.pair.isin(ids)], effects.baselines)
        try:
            agreement = rank_correlation(same, exact)
        except DataError as error:
            warnings.warn(f"nothing is said of how well patch agrees: {error}", stacklevel=2)
    write_effects(effects, options.out, options.figure)
    return summary(effects), agreement
