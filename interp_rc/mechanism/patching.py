"""Activation patching: put an activation of one prompt into the run of another."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple, get_args

import pandas as pd
import torch
from tqdm import tqdm

from interp_rc.mechanism.continuing import Patch, continued
from interp_rc.mechanism.effects import BASELINE, COLUMNS, Effects
from interp_rc.mechanism.inputs import Input, read_inputs
from interp_rc.mechanism.sites import Site, Tokens, tokens_of
from interp_rc.mechanism.waves import cache, log_probs
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.adapters.layerwise import Layerwise
from interp_rc.models.adapters.parts import Place
from interp_rc.models.adapters.ragged import ragged_attention
from interp_rc.models.load import Loaded
from interp_rc.records.errors import ConfigError, DataError
from interp_rc.records.nouns import Contrast

Metric = Literal["log_prob"]
Into = Literal["corrupted", "clean"]

METRICS: tuple[Metric, ...] = get_args(Metric)
INTO: tuple[Into, ...] = get_args(Into)


class _Pair(NamedTuple):
    contrast: Contrast
    clean: Input
    corrupted: Input


_Key = tuple[int, int | None]  # pair, site; None for the baselines


class _Value(NamedTuple):
    position: int | None
    value: Any
    structural_zero: bool = False


def patch(
    model: Loaded,
    contrasts: Sequence[Contrast],
    sites: Sequence[Site],
    *,
    metric: Metric = "log_prob",
    into: Into = "corrupted",
    batch_size: int = 64,
) -> Effects:
    """Patch every site of every contrast, one at a time.

    Into the corrupted prompt goes the clean prompt's activation (denoising; Vig et al. 2020,
    Meng et al. 2022), or with `into="clean"` the other way round (noising). The metric is the
    log-probability of the whole target, teacher-forced, in nats. Prompts may differ in length:
    tokens are matched by their spans.

    Raises ConfigError for an unknown metric, a site that the model does not have, or no sites or
    contrasts; DataError for a contrast without the span; ModelError for a model whose adapter
    does not fit.
    """
    _check(contrasts, sites, metric, into)
    adapter = Adapter(model.model)
    unknown = [s.name for s in sites if s.place not in adapter.places or s.window > 1]
    if unknown:
        raise ConfigError(f"this model has no {unknown[0]}; name another component or layer")
    targets = [c.target for c in contrasts]
    clean = read_inputs(model, [c.clean for c in contrasts], targets)
    corrupted = read_inputs(model, [c.corrupted for c in contrasts], targets)
    pairs = [_Pair(*three) for three in zip(contrasts, clean, corrupted, strict=True)]
    _check_targets(pairs)
    layers = Layerwise(adapter.model, adapter.parts)
    values: dict[_Key, _Value] = {}
    # Prompts of similar length together: little padding.
    order = sorted(range(len(pairs)), key=lambda i: len(pairs[i].clean.ids))
    bar = tqdm(total=len(pairs) * len(sites), desc="patching", unit="patch", disable=None)
    with ragged_attention(adapter.model), bar, torch.no_grad():
        for begin in range(0, len(order), batch_size):
            group = order[begin : begin + batch_size]
            values |= _patch_group(layers, pairs, sites, into, group, bar)
    return _effects(pairs, sites, metric, values)


def _check(contrasts: Sequence[Contrast], sites: Sequence[Site], metric: str, into: str) -> None:
    if not contrasts or not sites:
        raise ConfigError("there is nothing to patch; give one contrast and one site at least")
    for name, value, known in (("metric", metric, METRICS), ("into", into, INTO)):
        if value not in known:
            raise ConfigError(f"no {name} {value!r}; known: {', '.join(known)}")
    if len({c.id for c in contrasts}) < len(contrasts):
        raise ConfigError("two contrasts have the same id; give each its own")


def _check_targets(pairs: Sequence[_Pair]) -> None:
    for contrast, clean, corrupted in pairs:
        if clean.ids[clean.start :] != corrupted.ids[corrupted.start :]:
            raise DataError(
                f"contrast {contrast.id!r}: the target {contrast.target!r} has other tokens after "
                "the corrupted prompt; begin it with the space that separates it"
            )


def _patch_group(
    layers: Layerwise,
    pairs: Sequence[_Pair],
    sites: Sequence[Site],
    into: Into,
    group: Sequence[int],
    bar: tqdm,
) -> dict[_Key, _Value]:
    """Some pairs at all sites: both prompts of each are cached, then continued from the patches."""
    chosen = [pairs[i] for i in group]
    clean = cache(layers, [pair.clean for pair in chosen])
    corrupted = cache(layers, [pair.corrupted for pair in chosen])
    known = [log_probs(layers, one).tolist() for one in (clean, corrupted)]
    found: dict[_Key, _Value] = {
        (i, None): _Value(None, both) for i, *both in zip(group, *known, strict=True)
    }
    giving, taking = (clean, corrupted) if into == "corrupted" else (corrupted, clean)
    patches = []
    for number, site in enumerate(sites):
        for base, (i, pair) in enumerate(zip(group, chosen, strict=True)):
            tokens = tokens_of(pair.contrast, site, pair.clean.offsets, pair.corrupted.offsets)
            zero = structural_zero(site.place, tokens, pair.clean, pair.corrupted, layers.layers)
            reads, writes = zip(*tokens, strict=True)
            if into == "clean":
                reads, writes = writes, reads
            if min(writes) >= taking.starts[base]:  # what it has read of the target is missing
                raise DataError(
                    f"{pair.contrast.named}: {site.name} is inside the target, where nothing is "
                    "patched yet; name a span of the prompt"
                )
            position = writes[0] if len(writes) == 1 else None
            found[i, number] = _Value(position, known[into == "corrupted"][base], zero)
            if not zero:
                patches.append(Patch((i, number), site.place, base, reads, writes))
    bar.update(len(group) * len(sites) - len(patches))
    for patch_, value in continued(layers, giving, taking, patches, bar):
        found[patch_.key] = found[patch_.key]._replace(value=value)
    return found


def structural_zero(
    place: Place, tokens: Tokens, clean: Input, corrupted: Input, layers: int
) -> bool:
    """Whether a patch can have no effect in a causal model: nothing differs up to its tokens, or
    it is behind the last attention and none of its tokens predicts the target."""
    first = place == Place("resid_pre", 0)  # an embedding has seen its own token only
    differs = any(
        one != other or clean.ids[one * first : one + 1] != corrupted.ids[one * first : one + 1]
        for one, other in tokens
    )
    last = layers - 1
    is_read = (
        place == Place("resid_pre", last)
        or place.layer < last
        or any(one >= clean.start - 1 or other >= corrupted.start - 1 for one, other in tokens)
    )
    return not (differs and is_read)


def _effects(
    pairs: Sequence[_Pair], sites: Sequence[Site], metric: Metric, values: dict[_Key, _Value]
) -> Effects:
    baselines, rows = [], []
    for i, (contrast, _, _) in enumerate(pairs):
        clean, corrupted = values[i, None].value
        baselines.append((contrast.id, contrast.fact, contrast.order, clean, corrupted))
        for number, site in enumerate(sites):
            position, value, zero = values[i, number]
            effect, whole = value - corrupted, clean - corrupted
            rows.append(
                {
                    "pair": contrast.id,
                    "fact": contrast.fact,
                    "order": contrast.order,
                    "site": site.component,
                    "layer": site.layer,
                    "position": position,
                    "span": site.span,
                    "token": site.token if site.span else None,
                    "metric": metric,
                    "value": value,
                    "effect": effect,
                    "recovered": effect / whole if whole else None,
                    "structural_zero": zero,
                }
            )
    table = pd.DataFrame(rows).reindex(columns=COLUMNS)
    table["position"] = table["position"].astype("Int64")
    return Effects(table, pd.DataFrame(baselines, columns=list(BASELINE)))


def noise_floor(
    model: Loaded, contrasts: Sequence[Contrast], sites: Sequence[Site], batch_size: int = 64
) -> float:
    """What rounding alone can do to an effect, in nats: nothing of this size says anything.

    The largest effect of patching corrupted prompts into themselves, but no less than a rounding
    error of the data type on the largest log-probability, because writing back the very values
    that were computed there may happen to change nothing.
    """
    same = [
        replace(c, clean=c.corrupted, spans={k: [v[1], v[1]] for k, v in c.spans.items()})
        for c in contrasts
    ]
    effects = patch(model, same, sites, batch_size=batch_size)
    rounding = torch.finfo(model.model.dtype).eps * effects.baselines.corrupted.abs().max()
    return float(max(effects.table.effect.abs().max(), rounding))
