"""Trials of finished sweeps: from their folders into committed tables, and back.

A sweep's folder holds `sweep.yaml` and `trials.parquet`, one row a trial and estimate: trial, the
axes by their dotted keys (``training.learning_rate``, ``seed``), name, value, low, high, n, unit.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from scipy import stats

from analysis.over_seeds import over_seeds, write_csv, write_environment
from interp_rc.records.errors import DataError, RunError
from interp_rc.records.files import read_text
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Run

KEPT = ["trial", "name", "value", "low", "high", "n", "unit"]
EXPERIMENTS = (
    "learning_rates",
    "scaling",
    "forty_thousand",
    "both_doses",
    "paraphrases",
    "question_answer",
    "one_document",
    "prompt_tuning",
    "in_context",
    "instructions",
    "instructions_sweep",
    "descriptions",
)


@dataclass(frozen=True, slots=True)
class Spread:
    """One number at one setting: mean over seeds with its t interval, and how far seeds differ.

    `sd` has n - 1 in its denominator and `se` is `sd` over the root of n; null with one seed.
    """

    setting: dict[str, Any]
    name: str
    mean: Estimate
    sd: float | None
    se: float | None
    seeds: int


def read_trials(folder: Path) -> pd.DataFrame:
    """The trials of one finished sweep; RunError or DataError if there are none to read."""
    file = folder / "trials.parquet"
    if not file.is_file():
        raise RunError(f"{folder} holds no finished sweep (no trials.parquet); run it to its end")
    table = pd.read_parquet(file)
    missing = [column for column in KEPT if column not in table]
    if missing:
        raise DataError(f"column {missing[0]!r} is missing; run the sweep again", file=file)
    absent = [axis for axis in grid_keys(folder / "sweep.yaml") if axis not in table]
    if absent:
        raise DataError(f"axis {absent[0]!r} of sweep.yaml is no column; run it again", file=file)
    return table[["trial", *axes(table), *KEPT[1:]]]


def grid_keys(file: Path) -> list[str]:
    """The dotted keys that a sweep varied."""
    try:
        content = yaml.safe_load(read_text(file))
    except yaml.YAMLError as error:
        raise DataError(f"not YAML ({error})", file=file) from None
    content = content if isinstance(content, dict) else {}
    grid = (content.get("sweep") or content).get("grid") or {}
    return list(grid)


def axes(table: pd.DataFrame) -> list[str]:
    """What was varied: every column that is not of the fixed ones."""
    return [str(column) for column in table.columns if column not in KEPT]


def collect(sweeps: Path, tables: Path) -> list[str]:
    """Write `tables/<experiment>.csv` and `.environment.json` of every finished known sweep."""
    written = []
    for folder in sorted(path for path in sweeps.glob("*") if (path / "trials.parquet").is_file()):
        if folder.name not in EXPERIMENTS:
            continue
        write_csv(tables, folder.name, read_trials(folder))
        runs = [Run(path) for path in sorted((folder / "trials").glob("*"))]
        write_environment(tables, folder.name, [run for run in runs if run.finished])
        written.append(folder.name)
    if not written:
        raise RunError(f"{sweeps} holds no finished sweep of {', '.join(EXPERIMENTS)}")
    return written


def own_trials(experiment: str, tables: Path) -> pd.DataFrame | None:
    """A committed table of trials; null where it is not there. Ten seeds of one setting
    (`<experiment>_by_seed.csv`) are trials too."""
    for file in (tables / f"{experiment}.csv", tables / f"{experiment}_by_seed.csv"):
        if file.is_file():
            table = pd.read_csv(file)
            if {"seed", "name", "value", "n", "unit"} <= set(table) or "trial" in table:
                return table
    return None


def spreads(trials: pd.DataFrame, *names: str) -> Iterator[Spread]:
    """Over the seeds of each setting, in the order of the table; `names` are whole or, ending in
    a star, beginnings."""
    chosen = trials[[any(_fits(name, one) for one in names) for name in trials["name"]]]
    varied = [axis for axis in axes(trials) if axis != "seed"]
    for key, rows in chosen.groupby([*varied, "name"], sort=False, dropna=False):
        values = rows.value.dropna().to_numpy(float)
        if not len(values):
            continue
        *setting, name = key
        mean = over_seeds(rows)[str(name)]
        sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
        se = float(stats.sem(values)) if len(values) > 1 else None
        if len(values) == 1 and "low" in rows:
            one = rows.dropna(subset="value").iloc[0]
            low, high = (None if pd.isna(one[end]) else float(one[end]) for end in ("low", "high"))
            mean = Estimate(float(one["value"]), low, high, int(one["n"]), str(one["unit"]))
        yield Spread(dict(zip(varied, setting, strict=True)), str(name), mean, sd, se, len(values))


def _fits(name: str, pattern: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
