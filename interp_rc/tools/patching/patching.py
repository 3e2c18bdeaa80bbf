"""Activation patching: put an activation of one run into another."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch

from interp_rc.engine.effects import Effects
from interp_rc.engine.interventions import FromPrompt, Intervention, Itself, Patch
from interp_rc.engine.named_sites import placed
from interp_rc.engine.names import Into, Metric
from interp_rc.engine.run_patches import run_patches
from interp_rc.engine.sites import Site
from interp_rc.models.load import Loaded
from interp_rc.records.nouns import Contrast

FLOOR = 16  # contrasts that the noise floor is taken from, at the most


def patch(
    model: Loaded,
    contrasts: Sequence[Contrast],
    sites: Sequence[Site],
    *,
    metric: Metric = "log_prob",
    into: Into = "corrupted",
    intervention: Intervention = FromPrompt(),  # noqa: B008 (it has no state)
    memory: int | None = None,
    floor: bool | None = None,
    resume: Path | None = None,
) -> Effects:
    """Patch every site of every contrast, one at a time.

    Into the corrupted prompt's run goes the clean prompt's activation (denoising; Vig et al. 2020,
    Meng et al. 2022), or with `into="clean"` the other way round (noising), or what another
    `intervention` puts there. The default metric is the log-probability of the whole target,
    teacher-forced, in nats. Prompts may differ in length: tokens are matched by their spans.
    `memory` bounds what is computed at once, in bytes; by default half of what is free, 2 GiB at
    the most on a CPU. No value depends on it. With `floor`, by default in half precision only, the
    effects carry what rounding alone can do at each site (`noise_floors`). `resume` is a folder
    to keep the results of each batch in: called again, a sweep that was killed continues there.
    Remove it once the effects are saved.

    Raises ConfigError for an unknown metric, a site that the model does not have, or no sites or
    contrasts; DataError for a contrast without the span, or without a foil where one is needed;
    ModelError for a model whose adapter does not fit.
    """
    patches = [Patch(site, intervention) for site in placed(sites, model.model)]
    effects = run_patches(
        model, contrasts, patches, metric, into=into, memory=memory, resume=resume
    )
    if floor or (floor is None and model.model.dtype.itemsize < 4):
        floors = noise_floors(model, contrasts, sites, metric=metric, memory=memory)
        return replace(effects, floor=floors)
    return effects


def noise_floors(
    model: Loaded,
    contrasts: Sequence[Contrast],
    sites: Sequence[Site],
    *,
    metric: Metric = "log_prob",
    memory: int | None = None,
) -> pd.DataFrame:
    """What rounding alone can do to an effect, by `site` and `layer`, in the metric's unit.

    The largest effect of putting back, in some of the contrasts, what is there anyway, but no less
    than a rounding error of the data type on a value of the usual size: writing back the very
    values that were computed may happen to change nothing.
    """
    some = contrasts[:: -(-len(contrasts) // FLOOR)]
    effects = patch(
        model, some, sites, metric=metric, intervention=Itself(), memory=memory, floor=False
    )
    floors = (
        effects.table.effect.abs()
        .groupby([effects.table.site, effects.table.layer], dropna=False)
        .max()
    )
    rounding = torch.finfo(model.model.dtype).eps * effects.baselines.corrupted.abs().median()
    return floors.clip(lower=rounding).rename("floor").reset_index()
