"""A sweep from its first batch to its last, and what it found as a table."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pandas as pd
import torch
from tqdm import tqdm

from interp_rc.engine.continuing import continued
from interp_rc.engine.effects import BASELINE, COLUMNS, Effects
from interp_rc.engine.full_passes import FullPasses
from interp_rc.engine.memory import Budget
from interp_rc.engine.metrics import Metric
from interp_rc.engine.sites import Site
from interp_rc.engine.steps import Give, Patch
from interp_rc.engine.store import Found, Swept
from interp_rc.engine.sweep import Batch, Case, Into, Sweep


class Plan(NamedTuple):
    """Of a batch: patches to compute, patches that are known to change nothing, and what they
    put."""

    patches: list[Patch]
    zeros: list[Patch]
    give: Give


def swept(
    sweep: Sweep,
    plan: Callable[[Batch], Plan],
    what: str = "patching",
    budget: Budget | None = None,
) -> Swept:
    """Everything that `plan` asks for, batch after batch, within the sweep's budget or another;
    what the sweep's store has is taken from there."""
    budget = budget or sweep.budget()
    done = Swept({}, {}) if sweep.store is None else sweep.store.read()
    sites = sweep.sites
    total = len(sweep.cases) * sites
    with torch.no_grad(), tqdm(total=total, desc=what, unit="patch", disable=None) as bar:
        bar.update(len(done.known) * sites)
        for batch in sweep.batches(budget, done.known):
            part = Swept(dict(zip(batch.numbers, batch.known, strict=True)), {})
            patches, zeros, give = plan(batch)
            for one in zeros:
                unchanged = part.known[one.key[0]][sweep.into == "corrupted"]
                part.found[one.key] = Found(position_of(one), unchanged, structural_zero=True)
            bar.update(len(batch.numbers) * sites - len(patches))
            with sweep.taking.opened():
                values = _continued(sweep, batch, patches, give, budget, bar)
            part.found.update({one.key: Found(position_of(one), value) for one, value in values})
            if sweep.store is not None:
                sweep.store.add(part)
            done.known.update(part.known)
            done.found.update(part.found)
    return done


def _continued(
    sweep: Sweep, batch: Batch, patches: Sequence[Patch], give: Give, budget: Budget, bar: tqdm
) -> list[tuple[Patch, float]]:
    runs, rest = sweep.taking, (batch.taking, patches, give, sweep.metric, budget, bar)
    return list(runs.continued(*rest) if isinstance(runs, FullPasses) else continued(runs, *rest))


def position_of(patch: Patch) -> int | None:
    """Of the one token that a patch changes, or whose attention it does."""
    tokens = patch.steps[0].writes if patch.steps else next(iter(patch.blocked.values()))[0]
    return tokens[0] if len(tokens) == 1 else None


def effects_of(
    cases: Sequence[Case], sites: Sequence[Site], metric: Metric, into: Into, done: Swept
) -> Effects:
    """The table of a sweep's values, contrast after contrast."""
    baselines, rows = [], []
    for number, case in enumerate(cases):
        contrast, ends = case.contrast, done.known[number]
        tokens = _tokens(case, into)
        baselines.append((contrast.id, contrast.fact, contrast.order, *ends, tokens))
        for n, site in enumerate(sites):
            if (number, n) in done.found:
                rows.append(_line(case, site, metric, done.found[number, n], *ends))
    table = pd.DataFrame(rows).reindex(columns=COLUMNS)
    unnumbered = any(site.layer is None for site in sites)  # modules outside the layers
    for column in ("position", "head", "neuron", *(["layer"] if unnumbered else [])):
        table[column] = table[column].astype("Int64")
    if any(site.window > 1 for site in sites):
        table["window"] = [row["window"] for row in rows]
    return Effects(table, pd.DataFrame(baselines, columns=[*BASELINE, "tokens"]))


def _tokens(case: Case, into: Into) -> list[str]:
    """The texts of the patched prompt's tokens."""
    prompt = case.contrast.corrupted if into == "corrupted" else case.contrast.clean
    read = case.corrupted if into == "corrupted" else case.clean
    return [prompt[start:end] for start, end in read.offsets[: read.start]]


def _line(
    case: Case, site: Site, metric: Metric, found: Found, clean: float, corrupted: float
) -> dict[str, Any]:
    contrast = case.contrast
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
    }
