"""What patches have to compute, and what can be known without."""

import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

import torch
from torch import Tensor

from interp_rc.engine.cases import Batch, BothRuns, Case
from interp_rc.engine.full_passes import FullPasses
from interp_rc.engine.interventions import (
    Fixed,
    FromModel,
    FromPrompt,
    FromSender,
    Hidden,
    Intervention,
    Mean,
    Means,
    Noise,
    Patch,
    WithoutAdapters,
    Zero,
)
from interp_rc.engine.sites import Site, Tokens, tokens_of
from interp_rc.engine.steps import ChangedRun, Step
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.adapters.layerwise import Layerwise
from interp_rc.models.adapters.parts import STREAM, Place
from interp_rc.models.dimensions import heads_of, neurons_of
from interp_rc.records.errors import ConfigError, DataError


def check_patches(patches: Sequence[Patch], adapter: Adapter) -> None:
    """Raises ConfigError for a site that the model does not have, or that its value does not fit,
    and for values from several models; warns of windows that are the same."""
    sites = [patch.value.sender for patch in patches if isinstance(patch.value, FromSender)]
    sites = list(dict.fromkeys(sites))
    known = set(adapter.components)
    for site, value in [*(Patch(site, FromPrompt()) for site in sites), *patches]:
        if isinstance(value, Hidden):
            if site.place.layer >= adapter.layers:
                raise ConfigError(f"this model has no layer {site.layer}; it has {adapter.layers}")
        else:
            _check_there(site, adapter, known)
            _check_value(site, value)
    check_windows([*sites, *(patch.site for patch in patches)], adapter.layers)
    others = {
        id(value.model) if isinstance(value, FromModel) else type(value)
        for _, value in patches
        if isinstance(value, FromModel | WithoutAdapters)
    }
    if others and (len(others) > 1 or not all(_is_of_other(value) for _, value in patches)):
        raise ConfigError(
            "values of another model are not put in together with other ones; patch them one "
            "after the other"
        )


def _is_of_other(value: Intervention | Hidden) -> bool:
    return isinstance(value, FromModel | WithoutAdapters)


def _check_there(site: Site, adapter: Adapter, known: Collection[Place]) -> None:
    there = site.place in known or adapter.module(site.place) is not None
    if not there or (site.head is not None and site.head >= heads_of(adapter.model)):
        raise ConfigError(f"this model has no {site.name}; {_known(adapter)}")
    if site.place.is_module and site.window > 1:
        raise ConfigError(f"site {site.name}: a module is of one layer; leave the window out")
    if (site.neuron or 0) >= neurons_of(adapter.model):
        raise ConfigError(f"this model has no {site.name}; name another neuron")


def _check_value(site: Site, value: Intervention) -> None:
    basis = value.basis if isinstance(value, FromPrompt) else None
    adds = isinstance(value, Noise) or (isinstance(value, Fixed) and value.add)
    if site.direction is not None and site.direction >= (0 if basis is None else len(basis)):
        raise ConfigError(
            f"site {site.name} is along row {site.direction} of a basis, and there is no such "
            "row; give FromPrompt a basis that has it"
        )
    if adds and site.window > 1:
        raise ConfigError(
            f"site {site.name}: what is added is added in one layer; leave the window out"
        )
    if site.component == "pattern" and isinstance(value, Noise | Fixed):
        raise ConfigError(
            f"site {site.name}: a pattern is as wide as its prompt, and zero on what a token "
            "does not see; patch, zero or average it"
        )
    if basis is not None and (site.window > 1 or (site.head, site.neuron) != (None, None)):
        raise ConfigError(f"site {site.name}: a basis takes whole components of one layer")


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
                stacklevel=5,
            )


def runs_of(
    adapter: Adapter, patches: Sequence[Patch]
) -> tuple[Layerwise | FullPasses, Layerwise | FullPasses]:
    """What runs the clean and the corrupted prompts."""
    own = _runs(adapter, patches)
    match patches[0].value:
        case FromModel(other):
            return _runs(Adapter(other.model), patches), own
        case WithoutAdapters():
            if isinstance(own, FullPasses):
                raise ConfigError("modules by their names are patched with adapters on or merged")
            return own.without_adapters(), own
    return own, own


def _runs(adapter: Adapter, patches: Sequence[Patch]) -> Layerwise | FullPasses:
    """Layer by layer where that is possible. Raises ConfigError for sites that only one of both
    can change, and sites that only the other can; ModelError for values that need layers where
    none are known."""
    modules = {site.place for site, _ in patches if site.place.is_module}
    by_layers = any(isinstance(value, FromSender | Hidden) for _, value in patches)
    if not modules and (by_layers or adapter.layerwise is not None):
        return adapter.by_layers
    for site, value in patches:
        is_other = site.component not in STREAM or isinstance(value, FromSender | Hidden)
        if is_other and not site.place.is_module:
            raise ConfigError(
                f"site {site.name} is not changed together with modules by their names; patch "
                "them one after the other"
            )
    return FullPasses(adapter, modules)


def places_of(patches: Sequence[Patch], adapter: Adapter) -> tuple[set[Place], set[Place]]:
    """What must be cached of the run that gives, and of the run that takes."""
    given: set[Place] = set()
    kept: set[Place] = set()
    for site, value in patches:
        if isinstance(value, Hidden):
            continue
        hears = isinstance(value, FromSender)
        if isinstance(value, FromSender):
            given.add(value.sender.place)
            kept.add(value.sender.place)
        for layer in site.layers(adapter.layers):
            place = Place(site.component, layer)
            (kept if hears else given).add(place)
            if site.unit is not None or not _needs_none_of_it(value):
                kept.add(place)
            if site.component in ("mlp_post", "mlp_out"):
                parallel = adapter.parts.blocks[layer].parallel
                kept.add(Place("attn_out" if parallel else "resid_mid", layer))
    return given, kept


def _needs_none_of_it(value: Intervention) -> bool:
    """Whether a value is not made of what the taking run has at the place."""
    return isinstance(value, FromModel | WithoutAdapters | Zero | Mean) or (
        isinstance(value, FromPrompt) and value.basis is None
    )


def site_runs(
    both: BothRuns, batch: Batch, patches: Sequence[Patch]
) -> tuple[list[ChangedRun], list[ChangedRun]]:
    """Of the patches that exchange what a site has: what is to be computed of a batch, and what is
    known to change nothing."""
    changed: list[ChangedRun] = []
    zeros: list[ChangedRun] = []
    layers = both.taking.layers
    for base, number in enumerate(batch.numbers):
        case = both.cases[number]
        for n, (site, value) in enumerate(patches):
            if isinstance(value, FromSender | Hidden):
                continue
            tokens = tokens_of(case.contrast, site, case.clean.offsets, case.corrupted.offsets)
            if not tokens:
                continue
            if site.component == "pattern" and not _patterns_match(both, case, tokens):
                raise DataError(
                    f"{case.contrast.named}: the tokens of {site.name} see other positions in the "
                    "two prompts, so their patterns do not match; make the prompts equally long"
                )
            reads, writes = zip(*tokens, strict=True)
            if both.into == "clean":
                reads, writes = writes, reads
            steps = [
                Step(Place(site.component, layer), reads, writes, site.unit)
                for layer in site.layers(layers)
            ]
            nothing = structural_zero(both, case, steps, tokens, value)
            # What means are over, and whose value it is.
            where = site.span, site.token, site.position, id(value)
            (zeros if nothing else changed).append(ChangedRun((number, n), base, steps, where))
    return changed, zeros


def check_tokens(cases: Sequence[Case], patches: Sequence[Patch]) -> None:
    """Raises what `tokens_of` does for any case and site whose own tokens are exchanged, before
    anything is computed."""
    sites = [site for site, value in patches if not isinstance(value, FromSender | Hidden)]
    places = {(site.span, site.token, site.position): site for site in sites}.values()
    for case in cases:
        for site in places:
            tokens_of(case.contrast, site, case.clean.offsets, case.corrupted.offsets)


def _patterns_match(both: BothRuns, case: Case, tokens: Tokens) -> bool:
    """Whether tokens see as many positions in both prompts."""
    as_long = both.taking.parts.causal or len(case.clean.ids) == len(case.corrupted.ids)
    return as_long and all(one == other for one, other in tokens)


def structural_zero(
    both: BothRuns, case: Case, steps: Sequence[Step], tokens: Tokens, value: Intervention
) -> bool:
    """Whether a patch can have no effect: nothing differs up to its tokens (in a causal model), or
    it is behind the last attention and none of its tokens predicts the target."""
    last = both.taking.layers - 1
    is_read = (
        steps[0].place == Place("resid_pre", last)
        or steps[0].place.is_module
        or steps[0].place.layer < last
        or any(one in case.clean.reads or other in case.corrupted.reads for one, other in tokens)
    )
    return not (is_read and _differs(both, case, steps, tokens, value))


def _differs(
    both: BothRuns, case: Case, steps: Sequence[Step], tokens: Tokens, value: Intervention
) -> bool:
    """Whether any of the tokens may have other values in the run that gives."""
    # An embedding has seen its own token only.
    only_own = all(step.place == Place("resid_pre", 0) for step in steps)
    if not isinstance(value, FromPrompt) or both.clean is not both.corrupted:
        return True
    if not (both.taking.parts.causal or only_own):
        return True
    if case.noise is not None:
        noised = case.noise.any(-1).nonzero()[:, 0].tolist()
        return any(t == n if only_own else t >= n for _, t in tokens for n in noised)
    clean, corrupted = case.clean.ids, case.corrupted.ids
    return any(
        one != other or clean[one * only_own : one + 1] != corrupted[one * only_own : one + 1]
        for one, other in tokens
    )


def means_of(both: BothRuns, batches: Iterable[Batch], patches: Sequence[Patch]) -> Means:
    """For patches with means: of what the giving run has at each site, over its tokens, then over
    all contrasts."""
    sums: dict[tuple[int, Place], Tensor] = {}
    counts: Counter[tuple[int, Place]] = Counter()
    longest = max(len(one.ids) for case in both.cases for one in (case.clean, case.corrupted))
    sites = [(n, site) for n, (site, value) in enumerate(patches) if isinstance(value, Mean)]
    for batch in batches:
        for base, number in enumerate(batch.numbers):
            case = both.cases[number]
            for n, site in sites:
                tokens = tokens_of(case.contrast, site, case.clean.offsets, case.corrupted.offsets)
                reads = torch.tensor([pair[both.into == "clean"] for pair in tokens])
                for layer in site.layers(both.taking.layers) if tokens else ():
                    key = n, Place(site.component, layer)
                    value = batch.giving.values(key[1], torch.full_like(reads, base), reads)
                    value = value.double().mean(0)
                    if site.component == "pattern":
                        value = torch.nn.functional.pad(value, (0, longest - value.shape[-1]))
                    sums[key] = sums.get(key, 0) + value
                    counts[key] += 1
    return {key: total / counts[key] for key, total in sums.items()}
