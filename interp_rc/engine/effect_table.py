"""What was found of patches, as the table of effects."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from interp_rc.engine.cases import Case
from interp_rc.engine.effects import BASELINE, COLUMNS, Effects
from interp_rc.engine.interventions import FromSender, Hidden, Patch
from interp_rc.engine.names import Into, Metric
from interp_rc.engine.steps import ChangedRun
from interp_rc.engine.store import Found, Swept
from interp_rc.facts.contrasts import with_target
from interp_rc.records.nouns import Contrast


def position_of(run: ChangedRun) -> int | None:
    """Of the one token that is changed, or whose attention is."""
    tokens = run.steps[0].writes if run.steps else next(iter(run.blocked.values()))[0]
    return tokens[0] if len(tokens) == 1 else None


def effects_of(
    cases: Sequence[Case], patches: Sequence[Patch], metric: Metric, into: Into, done: Swept
) -> Effects:
    """The table of the values that are found, contrast after contrast.

    Where a site hears of a sender, a column `sender` names it; where attention is knocked out, a
    column `keys` says from what.
    """
    baselines, rows = [], []
    for number, case in enumerate(cases):
        contrast, ends = case.contrast, done.known[number]
        tokens = _tokens(case, into)
        baselines.append((contrast.id, contrast.fact, contrast.order, *ends, tokens))
        for n, patch in enumerate(patches):
            if (number, n) in done.found:
                rows.append(_line(case, patch, metric, done.found[number, n], *ends))
    table = pd.DataFrame(rows).reindex(columns=COLUMNS)
    unnumbered = any(site.layer is None for site, _ in patches)  # modules outside the layers
    for column in ("position", "head", "neuron", *(["layer"] if unnumbered else [])):
        table[column] = table[column].astype("Int64")
    if any(site.window > 1 for site, _ in patches):
        table["window"] = [row["window"] for row in rows]
    for column, kind in (("sender", FromSender), ("keys", Hidden)):
        if any(isinstance(value, kind) for _, value in patches):
            table[column] = [row[column] for row in rows]
    return Effects(table, pd.DataFrame(baselines, columns=[*BASELINE, "tokens"]))


def _tokens(case: Case, into: Into) -> list[str]:
    """The texts of the patched prompt's tokens."""
    prompt = case.contrast.corrupted if into == "corrupted" else case.contrast.clean
    read = case.taking(into)
    return [prompt[start:end] for start, end in read.offsets[: read.start]]


def _line(
    case: Case, patch: Patch, metric: Metric, found: Found, clean: float, corrupted: float
) -> dict[str, Any]:
    contrast, (site, value) = case.contrast, patch
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
        "window": site.window,
        "sender": value.sender.name if isinstance(value, FromSender) else None,
        "keys": value.name if isinstance(value, Hidden) else None,
    }


def mean_over_draws(done: Swept, draws_of: Sequence[int]) -> Swept:
    """Of what was found of so many draws of the noise for each contrast: their means."""
    owner = np.repeat(np.arange(len(draws_of)), draws_of)
    patches = sorted({n for _, n in done.found})
    known, found = {}, {}
    for number in range(len(draws_of)):
        draws = np.flatnonzero(owner == number).tolist()
        ends = np.mean([done.known[draw] for draw in draws], axis=0)
        known[number] = (float(ends[0]), float(ends[1]))
        for n in patches:
            several = [done.found[draw, n] for draw in draws if (draw, n) in done.found]
            if several:
                value = float(np.mean([one.value for one in several]))
                zero = all(one.structural_zero for one in several)
                found[number, n] = Found(several[0].position, value, zero)
    return Swept(known, found)


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
