"""Activation patching: put an activation of one prompt into the run of another."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, NamedTuple, get_args

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from interp_rc.mechanism.inputs import Input, padded, read_inputs, target_log_probs
from interp_rc.mechanism.sites import Site, Tokens, tokens_of
from interp_rc.models.adapters.adapter import Activations, Adapter, Edit
from interp_rc.models.adapters.parts import Place
from interp_rc.models.load import Loaded
from interp_rc.models.machine import spread
from interp_rc.records.errors import ConfigError, DataError
from interp_rc.records.nouns import Contrast

Metric = Literal["log_prob"]
Into = Literal["corrupted", "clean"]

METRICS: tuple[Metric, ...] = get_args(Metric)
INTO: tuple[Into, ...] = get_args(Into)

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
    unknown = [site.name for site in sites if site.place not in adapter.places]
    if unknown:
        raise ConfigError(f"this model has no {unknown[0]}; name another component or layer")
    targets = [c.target for c in contrasts]
    clean = read_inputs(model, [c.clean for c in contrasts], targets)
    corrupted = read_inputs(model, [c.corrupted for c in contrasts], targets)
    pairs = [_Pair(*three) for three in zip(contrasts, clean, corrupted, strict=True)]
    _check_targets(pairs)
    # Prompts of similar length together: little padding.
    order = sorted(range(len(pairs)), key=lambda i: len(pairs[i].clean.ids))
    groups = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    bar = tqdm(total=len(pairs) * len(sites), desc="patching", unit="patch", disable=None)
    work = partial(_patch_group, adapter, pairs, sites, into, bar)
    with adapter.hooked(), bar:
        found = list(spread(model.model, work, groups))
    values = {key: value for part in found for key, value in part.items()}
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


@torch.no_grad()  # per thread, so it stands here and not at `patch`
def _patch_group(
    adapter: Adapter,
    pairs: Sequence[_Pair],
    sites: Sequence[Site],
    into: Into,
    bar: tqdm,
    group: Sequence[int],
) -> dict[_Key, _Value]:
    """Some pairs at all sites: each site a forward pass, the pairs a batch."""
    chosen = [pairs[i] for i in group]
    places = sorted({site.place for site in sites})
    log_probs, activations = {}, {}
    for name, inputs in (("clean", [p.clean for p in chosen]),
                         ("corrupted", [p.corrupted for p in chosen])):  # fmt: skip
        log_probs[name], activations[name] = _run(adapter, inputs, places, {})
    found: dict[_Key, _Value] = {
        (i, None): _Value(None, (clean, corrupted))
        for i, clean, corrupted in zip(
            group, log_probs["clean"].tolist(), log_probs["corrupted"].tolist(), strict=True
        )
    }
    giver = activations["clean" if into == "corrupted" else "corrupted"]
    inputs = [p.corrupted if into == "corrupted" else p.clean for p in chosen]
    for number, site in enumerate(sites):
        matched = [
            tokens_of(p.contrast, site, p.clean.offsets, p.corrupted.offsets) for p in chosen
        ]
        edit = _edit(giver[site.place], matched, into)
        patched, _ = _run(adapter, inputs, (), {site.place: edit})
        for i, tokens, value in zip(group, matched, patched.tolist(), strict=True):
            position = tokens[0][into == "corrupted"] if len(tokens) == 1 else None
            zero = structural_zero(site.place, tokens, pairs[i].clean, pairs[i].corrupted, adapter)
            found[i, number] = _Value(position, value, zero)
        bar.update(len(chosen))
    return found


def structural_zero(
    place: Place, tokens: Tokens, clean: Input, corrupted: Input, adapter: Adapter
) -> bool:
    """Whether a patch can have no effect in a causal model: nothing differs up to its tokens, or
    it is behind the last attention and none of its tokens predicts the target."""
    first = place == Place("resid_pre", 0)  # an embedding has seen its own token only
    differs = any(
        one != other or clean.ids[one * first : one + 1] != corrupted.ids[one * first : one + 1]
        for one, other in tokens
    )
    last = adapter.layers - 1
    is_read = (
        place == Place("resid_pre", last)
        or place.layer < last
        or any(one >= clean.start - 1 or other >= corrupted.start - 1 for one, other in tokens)
    )
    return not (differs and is_read)


def _edit(giver: Float[Tensor, "batch pos width"], matched: Sequence[Tokens], into: Into) -> Edit:
    """Rows, and the positions in the giving and in the patched prompt."""
    triples = [(row, *pair) for row, tokens in enumerate(matched) for pair in tokens]
    rows, in_clean, in_corrupted = torch.tensor(triples, device=giver.device).T
    read, write = (in_clean, in_corrupted) if into == "corrupted" else (in_corrupted, in_clean)
    return Edit(rows, write, giver[rows, read])


def _run(
    adapter: Adapter, inputs: Sequence[Input], capture: Sequence[Place], edits: dict[Place, Edit]
) -> tuple[Float[Tensor, " batch"], Activations]:
    ids, mask = padded(inputs, adapter.model.device)
    logits, found = adapter.run(ids, mask, capture=capture, edits=edits)
    return target_log_probs(logits, inputs), found


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
