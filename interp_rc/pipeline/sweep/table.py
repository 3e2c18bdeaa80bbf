"""What the runs of a sweep found, as one table, and each cell's mean over seeds."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from interp_rc.pipeline.sweep.plan import Plan, Trial
from interp_rc.records.numbers import Estimate
from interp_rc.records.sweeps import NUMBERS, Cells, SweepRun, text_of

FLOATS = dict.fromkeys(["value", "low", "high"], float)


def specification(plan: Plan) -> dict[str, Any]:
    """The content of `sweep.yaml`."""
    axes = list(plan.trials[0].point)
    values = {axis: [trial.point[axis] for trial in plan.trials] for axis in axes}
    return {
        "name": plan.name,
        "axes": {axis: _distinct(of_axis) for axis, of_axis in values.items()},
        "show": plan.sweep.show,
        "trials": {trial.id: trial.point for trial in plan.trials},
    }


def _distinct(values: Sequence[Any]) -> list[Any]:
    return [value for i, value in enumerate(values) if value not in values[:i]]


def trials_table(sweep: SweepRun, trials: Sequence[Trial]) -> pd.DataFrame:
    """The content of `trials.parquet`: finished trials only, in the plan's order."""
    axes = list(trials[0].point)
    rows = [
        (trial.id, *trial.point.values(), name, e.value, e.low, e.high, e.n, e.unit)
        for trial in trials
        if sweep.trial(trial.id).finished
        for name, e in sweep.trial(trial.id).results().items()
    ]
    table = pd.DataFrame(rows, columns=["trial", *axes, *NUMBERS])
    for axis in axes:
        if not pd.api.types.is_numeric_dtype(table[axis]):
            table[axis] = table[axis].map(text_of)
    return table.astype(FLOATS)


def cells_table(cells: Cells, axes: Sequence[str]) -> pd.DataFrame:
    """The content of `cells.parquet`; `axes` are those of the cells, all but the seed."""
    rows = [
        (*cell, name, e.value, e.low, e.high, e.n, e.unit)
        for cell, estimates in cells.items()
        for name, e in estimates.items()
    ]
    return pd.DataFrame(rows, columns=[*axes, *NUMBERS]).astype(FLOATS)


def results(cells: Cells, axes: Sequence[str]) -> dict[str, Estimate]:
    """The content of `results.json`: ``<cell>.<name>``, in words of the values of `axes`.

    A sweep over seeds alone has one cell, called ``all``.
    """
    slugs = _slugs([dict(zip(axes, cell, strict=True)) for cell in cells])
    return {
        f"{slug}.{name}": estimate
        for slug, estimates in zip(slugs, cells.values(), strict=True)
        for name, estimate in estimates.items()
    }


def _slugs(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    """E.g. ``learning_rate_0_001_batch_size_8``; a number tells apart what would be the same."""
    slugs = []
    for cell in cells:
        words = [f"{key.rpartition('.')[2]} {text_of(value)}" for key, value in cell.items()]
        slugs.append(re.sub(r"[^a-z0-9]+", "_", " ".join(words).lower()).strip("_") or "all")
    return [
        f"{slug}_{slugs[:i].count(slug) + 1}" if slugs.count(slug) > 1 else slug
        for i, slug in enumerate(slugs)
    ]
