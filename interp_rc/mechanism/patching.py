"""Activation patching: put an activation of one run into another."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from interp_rc.mechanism.continuing import Patch, Step, continued
from interp_rc.mechanism.interventions import (
    Fixed,
    FromModel,
    FromPrompt,
    Group,
    Intervention,
    Mean,
    Means,
    Noise,
    WithoutAdapters,
)
from interp_rc.mechanism.memory import Budget
from interp_rc.mechanism.metrics import Metric
from interp_rc.mechanism.sites import Site, Tokens, tokens_of
from interp_rc.mechanism.sweep import Batch, Case, Into, Sweep, check, read_cases
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.adapters.layerwise import Layerwise
from interp_rc.models.adapters.parts import Place
from interp_rc.models.load import Loaded
from interp_rc.records.errors import ConfigError, DataError
from interp_rc.records.nouns import Contrast

BASELINE = ("pair", "fact", "order", "clean", "corrupted")
COLUMNS = (
    "pair fact order site layer position span token head neuron metric value effect recovered "
    "structural_zero"
).split()


@dataclass(frozen=True)
class Effects:
    """`table` has one row per contrast and site, in the columns of `mechanism/<tool>.parquet`.

    `value` is the metric after the intervention, `effect` = value - corrupted, `recovered` =
    effect / (clean - corrupted); nats. `position` is 0-based, in the prompt that was patched, and
    null for all tokens of a span. `structural_zero` says that the causal mask allows no effect.
    `baselines` has clean and corrupted per contrast.
    """

    table: pd.DataFrame
    baselines: pd.DataFrame


class Found(NamedTuple):
    """The metric after the intervention at one site of one contrast."""

    position: int | None
    value: float
    structural_zero: bool = False


def patch(
    model: Loaded,
    contrasts: Sequence[Contrast],
    sites: Sequence[Site],
    *,
    metric: Metric = "log_prob",
    into: Into = "corrupted",
    intervention: Intervention = FromPrompt(),  # noqa: B008 (it has no state)
    memory: int | None = None,
) -> Effects:
    """Patch every site of every contrast, one at a time.

    Into the corrupted prompt's run goes the clean prompt's activation (denoising; Vig et al. 2020,
    Meng et al. 2022), or with `into="clean"` the other way round (noising), or what another
    `intervention` puts there. The default metric is the log-probability of the whole target,
    teacher-forced, in nats. Prompts may differ in length: tokens are matched by their spans.
    `memory` bounds what is computed at once, in bytes; by default half of what is free, 2 GiB at
    the most on a CPU. No value depends on it.

    Raises ConfigError for an unknown metric, a site that the model does not have, or no sites or
    contrasts; DataError for a contrast without the span, or without a foil where one is needed;
    ModelError for a model whose adapter does not fit.
    """
    check(contrasts, sites, metric, into)
    adapter = Adapter(model.model)
    _check_sites(sites, adapter, intervention)
    cases = _cases(model, contrasts, intervention)
    if metric == "logit_difference" and not all(is_one_token(case) for case in cases):
        return _whole_difference(
            contrasts,
            lambda some: patch(
                model, some, sites, into=into, intervention=intervention, memory=memory
            ),
        )
    clean, corrupted = _runs(adapter, intervention)
    given, kept = places_of(sites, adapter, intervention)
    sweep = Sweep(cases, clean, corrupted, metric, into, given, kept, memory)
    return _swept(sweep, sites, intervention)


def is_one_token(case: Case) -> bool:
    """Whether target and foil are."""
    return len(case.clean.targets) == 1 and case.clean.foils is not None


def _check_sites(sites: Sequence[Site], adapter: Adapter, intervention: Intervention) -> None:
    directed = isinstance(intervention, FromPrompt) and intervention.basis is not None
    for site in sites:
        there = adapter.layers if site.place in adapter.components else 0
        if site.layer >= there or (site.head or 0) >= adapter.layerwise.heads:
            raise ConfigError(f"this model has no {site.name}; name another component or layer")
        if (site.neuron or 0) >= adapter.layerwise.neurons:
            raise ConfigError(f"this model has no {site.name}; name another neuron")
        if directed and (site.window > 1 or (site.head, site.neuron) != (None, None)):
            raise ConfigError(f"site {site.name}: a basis takes whole components of one layer")


def _cases(model: Loaded, contrasts: Sequence[Contrast], intervention: Intervention) -> list[Case]:
    if isinstance(intervention, FromModel):
        same = [in_itself(contrast, "clean") for contrast in contrasts]
        return read_cases(intervention.model, model, same)
    if isinstance(intervention, WithoutAdapters):
        return read_cases(model, model, [in_itself(contrast, "clean") for contrast in contrasts])
    return read_cases(model, model, contrasts)


def in_itself(contrast: Contrast, which: Into) -> Contrast:
    """The contrast with one of its prompts in both places."""
    prompt, number = getattr(contrast, which), which == "corrupted"
    spans = {name: [both[number], both[number]] for name, both in contrast.spans.items()}
    return replace(contrast, clean=prompt, corrupted=prompt, spans=spans)


def _runs(adapter: Adapter, intervention: Intervention) -> tuple[Layerwise, Layerwise]:
    """Where the clean and the corrupted run take place."""
    own = adapter.layerwise
    match intervention:
        case FromModel(other):
            return Adapter(other.model).layerwise, own
        case WithoutAdapters():
            return own.without_adapters(), own
    return own, own


def places_of(
    sites: Sequence[Site], adapter: Adapter, intervention: Intervention
) -> tuple[set[Place], set[Place]]:
    """What must be cached of the run that gives, and of the run that takes."""
    given: set[Place] = set()
    kept: set[Place] = set()
    changes_what_is_there = isinstance(intervention, Noise | Fixed) or (
        isinstance(intervention, FromPrompt) and intervention.basis is not None
    )
    for site in sites:
        for layer in site.layers(adapter.layers):
            given.add(Place(site.component, layer))
            if site.unit is not None or changes_what_is_there:
                kept.add(Place(site.component, layer))
            if site.component in ("mlp_post", "mlp_out"):
                parallel = adapter.parts.blocks[layer].parallel
                kept.add(Place("attn_out" if parallel else "resid_mid", layer))
    return given, kept


def _swept(sweep: Sweep, sites: Sequence[Site], intervention: Intervention) -> Effects:
    budget = sweep.budget()
    known: dict[int, tuple[float, float]] = {}
    found: dict[tuple[int, int], Found] = {}
    directions = [site.direction for site in sites]
    with torch.no_grad():
        means = _means(sweep, sites, budget) if isinstance(intervention, Mean) else {}
        total = len(sweep.cases) * len(sites)
        with tqdm(total=total, desc="patching", unit="patch", disable=None) as bar:
            for batch in sweep.batches(budget):
                known |= zip(batch.numbers, batch.known, strict=True)
                patches, zeros = _patches(sweep, batch, sites, intervention)
                found |= zeros
                bar.update(len(batch.numbers) * len(sites) - len(patches))
                give = intervention.gives(Group(batch.giving, batch.taking, means, directions))
                for one, value in continued(
                    sweep.taking, batch.taking, patches, give, sweep.metric, budget, bar
                ):
                    found[one.key] = Found(_position(one), value)
    return effects_of(sweep, sites, known, found)


def _position(patch: Patch) -> int | None:
    writes = patch.steps[0].writes
    return writes[0] if len(writes) == 1 else None


def _patches(
    sweep: Sweep, batch: Batch, sites: Sequence[Site], intervention: Intervention
) -> tuple[list[Patch], dict[tuple[int, int], Found]]:
    """What is to be computed of a batch, and what is known: that it changes nothing."""
    patches, zeros = [], {}
    layers = sweep.taking.layers
    for base, (number, known) in enumerate(zip(batch.numbers, batch.known, strict=True)):
        case = sweep.cases[number]
        for n, site in enumerate(sites):
            tokens = tokens_of(case.contrast, site, case.clean.offsets, case.corrupted.offsets)
            if not tokens:
                continue
            if site.component == "pattern" and any(one != other for one, other in tokens):
                raise DataError(
                    f"{case.contrast.named}: the tokens of {site.name} stand at other positions in "
                    "the two prompts, so their patterns do not match; make the prompts equally long"
                )
            reads, writes = zip(*tokens, strict=True)
            if sweep.into == "clean":
                reads, writes = writes, reads
            steps = [
                Step(Place(site.component, layer), reads, writes, site.unit)
                for layer in site.layers(layers)
            ]
            patch_ = Patch((number, n), base, steps)
            if structural_zero(sweep, case, steps[0].place, tokens, intervention):
                zeros[number, n] = Found(
                    _position(patch_), known[sweep.into == "corrupted"], structural_zero=True
                )
            else:
                patches.append(patch_)
    return patches, zeros


def structural_zero(
    sweep: Sweep, case: Case, place: Place, tokens: Tokens, intervention: Intervention
) -> bool:
    """Whether a patch can have no effect: nothing differs up to its tokens (in a causal model), or
    it is behind the last attention and none of its tokens predicts the target."""
    clean, corrupted = case.clean, case.corrupted
    first = place == Place("resid_pre", 0)  # an embedding has seen its own token only
    same_model = sweep.clean is sweep.corrupted and case.noise is None
    if isinstance(intervention, FromPrompt) and same_model and (sweep.taking.parts.causal or first):
        differs = any(
            one != other or clean.ids[one * first : one + 1] != corrupted.ids[one * first : one + 1]
            for one, other in tokens
        )
    else:
        differs = True
    last = sweep.taking.layers - 1
    is_read = (
        place == Place("resid_pre", last)
        or place.layer < last
        or any(one in clean.reads or other in corrupted.reads for one, other in tokens)
    )
    return not (differs and is_read)


def _means(sweep: Sweep, sites: Sequence[Site], budget: Budget) -> Means:
    """Of what the giving run has at each site, over its tokens, then over all contrasts."""
    sums: dict[tuple[int, Place], Tensor] = {}
    counts: Counter[tuple[int, Place]] = Counter()
    for batch in sweep.batches(budget):
        for base, number in enumerate(batch.numbers):
            case = sweep.cases[number]
            for n, site in enumerate(sites):
                tokens = tokens_of(case.contrast, site, case.clean.offsets, case.corrupted.offsets)
                reads = torch.tensor([pair[sweep.into == "clean"] for pair in tokens])
                for layer in site.layers(sweep.taking.layers) if tokens else ():
                    key = n, Place(site.component, layer)
                    value = batch.giving.values(key[1], torch.full_like(reads, base), reads)
                    sums[key] = sums.get(key, 0) + value.double().mean(0)
                    counts[key] += 1
    return {key: total / counts[key] for key, total in sums.items()}


def effects_of(
    sweep: Sweep,
    sites: Sequence[Site],
    known: Mapping[int, tuple[float, float]],
    found: Mapping[tuple[int, int], Found],
) -> Effects:
    baselines, rows = [], []
    for number, (contrast, *_) in enumerate(sweep.cases):
        clean, corrupted = known[number]
        baselines.append((contrast.id, contrast.fact, contrast.order, clean, corrupted))
        for n, site in enumerate(sites):
            if (number, n) in found:
                row = _line(contrast, site, sweep.metric, found[number, n], clean, corrupted)
                rows.append(row)
    table = pd.DataFrame(rows).reindex(columns=COLUMNS)
    for column in ("position", "head", "neuron"):
        table[column] = table[column].astype("Int64")
    return Effects(table, pd.DataFrame(baselines, columns=list(BASELINE)))


def _line(
    contrast: Contrast, site: Site, metric: Metric, found: Found, clean: float, corrupted: float
) -> dict[str, Any]:
    effect, whole = found.value - corrupted, clean - corrupted
    return {
        "pair": contrast.id,
        "fact": contrast.fact,
        "order": contrast.order,
        "site": site.component,
        "layer": site.layer,
        "position": found.position,
        "span": site.span,
        "token": site.token if site.span else None,
        "head": site.head,
        "neuron": site.neuron if site.direction is None else site.direction,
        "metric": metric,
        "value": found.value,
        "effect": effect,
        "recovered": effect / whole if whole else None,
        "structural_zero": found.structural_zero,
    }


def _whole_difference(
    contrasts: Sequence[Contrast], found: Callable[[Sequence[Contrast]], Effects]
) -> Effects:
    """Of targets and foils of several tokens: the difference of their log-probabilities, which
    for single tokens is that of their logits."""
    own = found(contrasts)
    other = found([replace(c, target=c.foil or "") for c in contrasts])
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


def noise_floor(
    model: Loaded, contrasts: Sequence[Contrast], sites: Sequence[Site], memory: int | None = None
) -> float:
    """What rounding alone can do to an effect, in nats: nothing of this size says anything.

    The largest effect of patching corrupted prompts into themselves, but no less than a rounding
    error of the data type on the largest log-probability, because writing back the very values
    that were computed there may happen to change nothing.
    """
    same = [in_itself(contrast, "corrupted") for contrast in contrasts]
    effects = patch(model, same, sites, memory=memory)
    rounding = torch.finfo(model.model.dtype).eps * effects.baselines.corrupted.abs().max()
    return float(max(effects.table.effect.abs().max(), rounding))
