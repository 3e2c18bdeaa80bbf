"""What a sweep over sites has to compute, and what it can know without."""

import warnings
from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from interp_rc.engine.full_passes import FullPasses
from interp_rc.engine.interventions import (
    Fixed,
    FromModel,
    FromPrompt,
    Intervention,
    Mean,
    Means,
    Noise,
    WithoutAdapters,
    Zero,
)
from interp_rc.engine.sites import Site, Tokens, tokens_of
from interp_rc.engine.steps import Patch, Step
from interp_rc.engine.sweep import Batch, Case, Sweep
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.adapters.layerwise import Layerwise
from interp_rc.models.adapters.parts import STREAM, Place
from interp_rc.models.dimensions import heads_of, neurons_of
from interp_rc.records.errors import ConfigError, DataError


def check_sites(sites: Sequence[Site], adapter: Adapter, intervention: Intervention) -> None:
    """Raises ConfigError for a site that the model does not have, or the intervention not fit."""
    known = set(adapter.components)
    basis = intervention.basis if isinstance(intervention, FromPrompt) else None
    adds = isinstance(intervention, Noise) or (isinstance(intervention, Fixed) and intervention.add)
    for site in sites:
        there = site.place in known or adapter.module(site.place) is not None
        if not there or (site.head is not None and site.head >= heads_of(adapter.model)):
            raise ConfigError(f"this model has no {site.name}; {_known(adapter)}")
        if site.place.is_module and site.window > 1:
            raise ConfigError(f"site {site.name}: a module is of one layer; leave the window out")
        if (site.neuron or 0) >= neurons_of(adapter.model):
            raise ConfigError(f"this model has no {site.name}; name another neuron")
        if site.direction is not None and site.direction >= (0 if basis is None else len(basis)):
            raise ConfigError(
                f"site {site.name} is along row {site.direction} of a basis, and there is no such "
                "row; give FromPrompt a basis that has it"
            )
        if adds and site.window > 1:
            raise ConfigError(
                f"site {site.name}: what is added is added in one layer; leave the window out"
            )
        if site.component == "pattern" and isinstance(intervention, Noise | Fixed):
            raise ConfigError(
                f"site {site.name}: a pattern is as wide as its prompt, and zero on what a token "
                "does not see; patch, zero or average it"
            )
        if basis is not None and (site.window > 1 or (site.head, site.neuron) != (None, None)):
            raise ConfigError(f"site {site.name}: a basis takes whole components of one layer")
    check_windows(sites, adapter.layers)


def _known(adapter: Adapter) -> str:
    components = list(dict.fromkeys(place.component for place in adapter.components))
    heads = heads_of(adapter.model)
    return (
        f"it has {', '.join(components)} of layers 0 to {adapter.layers - 1}, "
        f"{f'heads 0 to {heads - 1}' if heads else 'no heads'}, and modules by their names in "
        "model.named_modules()"
    )


def check_windows(sites: Sequence[Site], layers: int) -> None:
    """Warn of windows that are the same around several layers.

    Raises ConfigError where a component's windows are the same around all of them: what is named
    after different layers would be one number.
    """
    kinds: dict[tuple[object, ...], dict[range, set[int]]] = {}
    for site in sites:
        if site.window > 1:
            kind = site.component, site.window, site.span, site.token, site.position
            columns = kinds.setdefault(kind, {})
            columns.setdefault(site.layers(layers), set()).add(site.place.layer)
    alike: dict[str, set[int]] = {}
    for (component, window, *_), columns in kinds.items():
        if len(columns) == 1 and len(*columns.values()) > 1:
            raise ConfigError(
                f"a window of {window} layers is the same around every layer of this model, which "
                f"has {layers}; take one of {max(1, layers // 2)} layers or fewer"
            )
        same = set().union(*(some for some in columns.values() if len(some) > 1))
        alike.setdefault(f"{component} x {window}", set()).update(same)
    for what, same in alike.items():
        if same:
            warnings.warn(
                f"windows of {what} layers are the same around layers "
                f"{', '.join(map(str, sorted(same)))} of this model, which has {layers}; take "
                "narrower ones to tell these layers apart",
                stacklevel=4,
            )


def runs_of(adapter: Adapter, sites: Sequence[Site]) -> Layerwise | FullPasses:
    """Layer by layer where that is possible. Raises ConfigError for sites that only one of both
    can change, and sites that only the other can."""
    modules = {site.place for site in sites if site.place.is_module}
    if adapter.layerwise is not None and not modules:
        return adapter.layerwise
    for site in sites:
        if not site.place.is_module and site.component not in STREAM:
            raise ConfigError(
                f"site {site.name} is not changed together with modules by their names; patch "
                "them one after the other"
            )
    return FullPasses(adapter, modules)


def places_of(
    sites: Sequence[Site], adapter: Adapter, intervention: Intervention
) -> tuple[set[Place], set[Place]]:
    """What must be cached of the run that gives, and of the run that takes."""
    given: set[Place] = set()
    kept: set[Place] = set()
    needs_none_of_it = isinstance(intervention, FromModel | WithoutAdapters | Zero | Mean) or (
        isinstance(intervention, FromPrompt) and intervention.basis is None
    )
    for site in sites:
        for layer in site.layers(adapter.layers):
            given.add(Place(site.component, layer))
            if site.unit is not None or not needs_none_of_it:
                kept.add(Place(site.component, layer))
            if site.component in ("mlp_post", "mlp_out"):
                parallel = adapter.parts.blocks[layer].parallel
                kept.add(Place("attn_out" if parallel else "resid_mid", layer))
    return given, kept


def patches_of(
    sweep: Sweep, batch: Batch, sites: Sequence[Site], intervention: Intervention
) -> tuple[list[Patch], list[Patch]]:
    """What is to be computed of a batch, and what is known to change nothing."""
    patches: list[Patch] = []
    zeros: list[Patch] = []
    layers = sweep.taking.layers
    for base, number in enumerate(batch.numbers):
        case = sweep.cases[number]
        for n, site in enumerate(sites):
            tokens = tokens_of(case.contrast, site, case.clean.offsets, case.corrupted.offsets)
            if not tokens:
                continue
            if site.component == "pattern" and not _patterns_match(sweep, case, tokens):
                raise DataError(
                    f"{case.contrast.named}: the tokens of {site.name} see other positions in the "
                    "two prompts, so their patterns do not match; make the prompts equally long"
                )
            reads, writes = zip(*tokens, strict=True)
            if sweep.into == "clean":
                reads, writes = writes, reads
            steps = [
                Step(Place(site.component, layer), reads, writes, site.unit)
                for layer in site.layers(layers)
            ]
            nothing = structural_zero(sweep, case, steps, tokens, intervention)
            where = site.span, site.token, site.position  # what means are over
            (zeros if nothing else patches).append(Patch((number, n), base, steps, where))
    return patches, zeros


def check_tokens(cases: Sequence[Case], sites: Sequence[Site]) -> None:
    """Raises what `tokens_of` does for any case and site, before anything is computed."""
    places = {(site.span, site.token, site.position): site for site in sites}.values()
    for case in cases:
        for site in places:
            tokens_of(case.contrast, site, case.clean.offsets, case.corrupted.offsets)


def _patterns_match(sweep: Sweep, case: Case, tokens: Tokens) -> bool:
    """Whether tokens see as many positions in both prompts."""
    as_long = sweep.taking.parts.causal or len(case.clean.ids) == len(case.corrupted.ids)
    return as_long and all(one == other for one, other in tokens)


def structural_zero(
    sweep: Sweep, case: Case, steps: Sequence[Step], tokens: Tokens, intervention: Intervention
) -> bool:
    """Whether a patch can have no effect: nothing differs up to its tokens (in a causal model), or
    it is behind the last attention and none of its tokens predicts the target."""
    last = sweep.taking.layers - 1
    is_read = (
        steps[0].place == Place("resid_pre", last)
        or steps[0].place.is_module
        or steps[0].place.layer < last
        or any(one in case.clean.reads or other in case.corrupted.reads for one, other in tokens)
    )
    return not (is_read and _differs(sweep, case, steps, tokens, intervention))


def _differs(
    sweep: Sweep, case: Case, steps: Sequence[Step], tokens: Tokens, intervention: Intervention
) -> bool:
    """Whether any of the tokens may have other values in the run that gives."""
    # An embedding has seen its own token only.
    only_own = all(step.place == Place("resid_pre", 0) for step in steps)
    if not isinstance(intervention, FromPrompt) or sweep.clean is not sweep.corrupted:
        return True
    if not (sweep.taking.parts.causal or only_own):
        return True
    if case.noise is not None:
        noised = case.noise.any(-1).nonzero()[:, 0].tolist()
        return any(t == n if only_own else t >= n for _, t in tokens for n in noised)
    clean, corrupted = case.clean.ids, case.corrupted.ids
    return any(
        one != other or clean[one * only_own : one + 1] != corrupted[one * only_own : one + 1]
        for one, other in tokens
    )


def means_of(sweep: Sweep, sites: Sequence[Site]) -> Means:
    """Of what the giving run has at each site, over its tokens, then over all contrasts."""
    sums: dict[tuple[int, Place], Tensor] = {}
    counts: Counter[tuple[int, Place]] = Counter()
    longest = max(len(one.ids) for case in sweep.cases for one in (case.clean, case.corrupted))
    for batch in sweep.batches(sweep.budget()):
        for base, number in enumerate(batch.numbers):
            case = sweep.cases[number]
            for n, site in enumerate(sites):
                tokens = tokens_of(case.contrast, site, case.clean.offsets, case.corrupted.offsets)
                reads = torch.tensor([pair[sweep.into == "clean"] for pair in tokens])
                for layer in site.layers(sweep.taking.layers) if tokens else ():
                    key = n, Place(site.component, layer)
                    value = batch.giving.values(key[1], torch.full_like(reads, base), reads)
                    value = value.double().mean(0)
                    if site.component == "pattern":
                        value = torch.nn.functional.pad(value, (0, longest - value.shape[-1]))
                    sums[key] = sums.get(key, 0) + value
                    counts[key] += 1
    return {key: total / counts[key] for key, total in sums.items()}
