"""Trials of finished sweeps as committed tables hold them, and their means over seeds.

A table has a row a trial and number: trial, the axes by their dotted keys
(``training.learning_rate``, ``seed``), name, value, low, high, n, unit.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from interp_rc.records.numbers import Estimate
from interp_rc.records.sweeps import SEED
from interp_rc.stats.over_seeds import mean_over_seeds

KEPT = ["trial", "name", "value", "low", "high", "n", "unit"]
OVER_TRAINING = ("subset", "asked", "set", "step", "epoch", "loss", "accuracy", "n")
"""The columns of `<experiment>_trace.csv` after trial and axes."""
EXPERIMENTS = (
    "learning_rates",
    "scaling",
    "in_context",
    "forty_thousand",
    "prompt_tuning",
    "both_doses",
    "paraphrases",
    "question_answer",
    "one_document",
    "instructions",
    "instructions_sweep",
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


def axes(table: pd.DataFrame) -> list[str]:
    """What was varied besides the seed."""
    return [str(column) for column in table.columns if column not in (*KEPT, SEED)]


def spreads(trials: pd.DataFrame, *names: str) -> Iterator[Spread]:
    """Over the seeds of each setting, in the order of the table; in `names` a star is anything."""
    chosen = trials[[any(fnmatchcase(name, one) for one in names) for name in trials["name"]]]
    varied = axes(trials)
    for key, rows in chosen.groupby([*varied, "name"], sort=False, dropna=False):
        values = rows.value.dropna().to_numpy(float)
        if not len(values):
            continue
        *setting, name = key
        several = len(values) > 1
        yield Spread(
            {axis: at for axis, at in zip(varied, setting, strict=True) if not pd.isna(at)},
            str(name),
            mean_over_seeds(rows),
            float(np.std(values, ddof=1)) if several else None,
            float(stats.sem(values)) if several else None,
            len(values),
        )


@dataclass(frozen=True, slots=True)
class Cell:
    """All numbers at one setting, by name."""

    setting: dict[str, Any]
    found: dict[str, Spread]


def by_setting(found: Iterable[Spread]) -> list[Cell]:
    """Settings in the order they come."""
    cells: dict[tuple[tuple[str, Any], ...], Cell] = {}
    for one in found:
        cell = cells.setdefault(tuple(one.setting.items()), Cell(one.setting, {}))
        cell.found[one.name] = one
    return list(cells.values())


def at_setting(
    table: pd.DataFrame, setting: Mapping[str, Any], varied: Sequence[str]
) -> pd.DataFrame:
    """The rows of another table of the same trials at one setting."""
    for axis in varied:
        at = table[axis]
        table = table[at == setting[axis] if axis in setting else at.isna()]
    return table
