"""Trials of finished sweeps as committed tables hold them, and what was found at each setting.

A table has a row a trial and number: trial, the axes by their dotted keys
(``training.learning_rate``, ``seed``), name, value, low, high, n, unit.
"""

from collections.abc import Collection, Iterable, Sequence

import pandas as pd

from analysis.over_seeds import over_seeds
from interp_rc.records.sweeps import NUMBERS, SEED, Cells

KEPT = ["trial", *NUMBERS]
OVER_TRAINING = ("group", "asked", "set", "step", "epoch", "loss", "accuracy", "n")
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


def axes(table: pd.DataFrame) -> list[str]:
    """What was varied besides the seed."""
    return [str(column) for column in table.columns if column not in (*KEPT, SEED)]


def at_settings(trials: pd.DataFrame, names: Collection[str], varied: Sequence[str]) -> Cells:
    """The estimates called `names` over the seeds of each setting, in the order of the table, by
    the values of the axes `varied`: None where a trial has no such key."""
    chosen = trials[trials["name"].isin(names)]
    groups = chosen.groupby(list(varied), sort=False, dropna=False) if varied else [((), chosen)]
    return {known(cell): over_seeds(rows) for cell, rows in groups}


def known(cell: Iterable[object]) -> tuple[object, ...]:
    """The values of a setting: None for a key that it has not."""
    return tuple(None if pd.isna(value) else value for value in cell)
