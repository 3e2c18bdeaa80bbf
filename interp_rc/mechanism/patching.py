"""Activation patching: put an activation of one run into another."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch

from interp_rc.engine.effects import Effects
from interp_rc.engine.full_passes import FullPasses
from interp_rc.engine.interventions import (
    FromModel,
    FromPrompt,
    Group,
    Intervention,
    Itself,
    Mean,
    WithoutAdapters,
)
from interp_rc.engine.metrics import Metric
from interp_rc.engine.named_sites import placed
from interp_rc.engine.planning import (
    check_sites,
    check_tokens,
    means_of,
    patches_of,
    places_of,
    runs_of,
)
from interp_rc.engine.sites import Site
from interp_rc.engine.store import Store
from interp_rc.engine.sweep import (
    Batch,
    Case,
    Into,
    Sweep,
    check,
    check_differ,
    in_itself,
    read_cases,
)
from interp_rc.engine.swept import Plan, effects_of, swept
from interp_rc.facts.contrasts import with_target
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.adapters.layerwise import Layerwise
from interp_rc.models.dimensions import text_config
from interp_rc.models.load import Loaded
from interp_rc.records.errors import ConfigError, ModelError
from interp_rc.records.nouns import Contrast

FLOOR = 16  # contrasts that the noise floor is taken from, at the most
SHAPE = (
    "num_hidden_layers",
    "hidden_size",
    "num_attention_heads",
    "head_dim",
    "intermediate_size",
    "n_inner",
)


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
    check(contrasts, sites, metric, into)
    adapter = Adapter(model.model)
    sites = placed(sites, model.model)
    check_sites(sites, adapter, intervention)
    cases = _cases(model, contrasts, intervention, metric)
    if isinstance(intervention, FromPrompt):
        check_differ(cases)
    if metric == "logit_difference" and not all(is_one_token(case) for case in cases):

        def found(some: Sequence[Contrast]) -> Effects:
            of = "target" if some is contrasts else "foil"
            return patch(
                model,
                some,
                sites,
                into=into,
                intervention=intervention,
                memory=memory,
                floor=False,
                resume=None if resume is None else resume / of,
            )

        return whole_difference(contrasts, found)
    check_tokens(cases, sites)
    clean, corrupted = _runs(adapter, sites, intervention)
    given, kept = places_of(sites, adapter, intervention)
    what = ["patch", model, contrasts, sites, metric, into, intervention]
    store = None if resume is None else Store(resume, what)
    sweep = Sweep(cases, clean, corrupted, metric, into, given, kept, len(sites), memory, store)
    with torch.no_grad():
        means = means_of(sweep, sites) if isinstance(intervention, Mean) else {}
    ids = [contrast.id for contrast in contrasts]

    def plan(batch: Batch) -> Plan:
        group = Group(batch.giving, batch.taking, means, ids, sites)
        return Plan(*patches_of(sweep, batch, sites, intervention), intervention.gives(group))

    effects = effects_of(cases, sites, metric, into, swept(sweep, plan))
    if floor or (floor is None and model.model.dtype.itemsize < 4):
        floors = noise_floors(model, contrasts, sites, metric=metric, memory=memory)
        return replace(effects, floor=floors)
    return effects


def is_one_token(case: Case) -> bool:
    """Whether target and foil are."""
    return len(case.clean.targets) == 1 and case.clean.foils is not None


def _cases(
    model: Loaded, contrasts: Sequence[Contrast], intervention: Intervention, metric: Metric
) -> list[Case]:
    if not isinstance(intervention, FromModel | WithoutAdapters):
        return read_cases(model, model, contrasts, metric)
    same = [in_itself(contrast, "clean") for contrast in contrasts]
    other = intervention.model if isinstance(intervention, FromModel) else model
    cases = read_cases(other, model, same, metric)
    _check_alike(other, model, cases)
    return cases


def _check_alike(other: Loaded, model: Loaded, cases: Sequence[Case]) -> None:
    """Raises ModelError unless activations of the other model have places in this one."""
    for name in SHAPE:
        there, here = (getattr(text_config(one.model), name, None) for one in (other, model))
        if there != here:
            raise ModelError(
                f"the other model has {name} {there}, and this one {here}; give one of its shape"
            )
    if any(case.clean.ids != case.corrupted.ids for case in cases):
        raise ModelError("the other model's tokenizer reads other tokens; give one with the same")


def _runs(
    adapter: Adapter, sites: Sequence[Site], intervention: Intervention
) -> tuple[Layerwise | FullPasses, Layerwise | FullPasses]:
    """What runs the clean and the corrupted prompts."""
    own = runs_of(adapter, sites)
    match intervention:
        case FromModel(other):
            return runs_of(Adapter(other.model), sites), own
        case WithoutAdapters():
            if isinstance(own, FullPasses):
                raise ConfigError("modules by their names are patched with adapters on or merged")
            return own.without_adapters(), own
    return own, own


def whole_difference(
    contrasts: Sequence[Contrast], found: Callable[[Sequence[Contrast]], Effects]
) -> Effects:
    """Of targets and foils of several tokens: the difference of their log-probabilities, which
    for single tokens is that of their logits."""
    own = found(contrasts)
    other = found([with_target(c, c.foil or "") for c in contrasts])
    baselines = own.baselines.copy()
    for column in ("clean", "corrupted"):
        baselines[column] -= other.baselines[column]
    table = own.table.copy()
    ends = baselines.set_index("pair").loc[table.pair]
    table["metric"] = "logit_difference"
    table["value"] -= other.table.value
    table["effect"] = table.value - ends.corrupted.to_numpy()
    whole = (ends.clean - ends.corrupted).to_numpy()
    table["recovered"] = (table.effect / whole).where(whole != 0)
    table["structural_zero"] &= other.table.structural_zero
    return Effects(table, baselines)


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
