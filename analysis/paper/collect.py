"""Finished sweeps into committed tables.

`<experiment>.csv` holds every number of every trial; `<experiment>_trace.csv` what the models said
while they learnt, `<experiment>_verdicts.csv` what their hypotheses came to, where there is any.
"""

from collections.abc import Iterator, Mapping
from math import nan
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors import safe_open

from analysis.over_seeds import write_csv, write_environment
from analysis.paper.sweeps import EXPERIMENTS, KEPT, OVER_TRAINING
from interp_rc.measures.trace.measure import by_fact, cells
from interp_rc.records.errors import DataError, RunError
from interp_rc.records.runs import Run
from interp_rc.records.sweeps import SweepRun


def collect(sweeps: Path, tables: Path) -> list[str]:
    """Write the tables and `<experiment>.environment.json` of every finished sweep of the page."""
    written = []
    for experiment in EXPERIMENTS:
        sweep = SweepRun(sweeps / experiment)
        if not sweep.finished:
            continue
        trials = read_trials(sweep)
        trials = pd.concat([trials, sizes(sweep, trials)], ignore_index=True)
        runs = {id: sweep.trial(id) for id in trials.trial.unique()}
        settings = trials.drop(columns=KEPT[1:]).drop_duplicates("trial").set_index("trial")
        write_csv(tables, experiment, trials)
        for part, read in (("trace", trace), ("verdicts", verdicts)):
            found = [table.assign(trial=id) for id, run in runs.items() for table in read(run)]
            if found:
                table = pd.concat(found, ignore_index=True)
                table = settings.merge(table, left_index=True, right_on="trial")
                write_csv(tables, f"{experiment}_{part}", _first(table, "trial"))
        write_environment(tables, experiment, list(runs.values()))
        written.append(experiment)
    if not written:
        raise RunError(f"{sweeps} holds no finished sweep of {', '.join(EXPERIMENTS)}")
    return written


def read_trials(sweep: SweepRun) -> pd.DataFrame:
    """All numbers of a sweep: trial, its axes, then name, value, low, high, n, unit.

    An axis of mappings becomes a column for each key that differs among them.
    RunError or DataError if there are none to read.
    """
    spec, table = SweepRun.open(sweep.folder).spec(), sweep.table()
    missing = [column for column in [*KEPT, *spec["axes"]] if column not in table]
    if missing:
        raise DataError(
            f"column {missing[0]!r} is missing; continue the sweep with --resume",
            file=sweep.trials_file,
        )
    settings = pd.DataFrame.from_dict(
        {id: dict(_flat(point)) for id, point in spec["trials"].items()}, orient="index"
    )
    kept = [
        column
        for column in settings
        if column in spec["axes"] or settings[column].nunique(dropna=False) > 1
    ]
    settings = settings[kept]
    for axis in set(spec["axes"]).intersection(settings):
        settings[axis] = table.drop_duplicates("trial").set_index("trial")[axis]  # lists as text
    whole = table[KEPT].merge(settings, left_on="trial", right_index=True, how="left")
    return whole[["trial", *kept, *KEPT[1:]]]


def _flat(point: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that is no mapping, by its dotted key."""
    for key, found in point.items():
        if isinstance(found, Mapping):
            yield from _flat(found, f"{before}{key}.")
        else:
            yield before + key, found


def sizes(sweep: SweepRun, trials: pd.DataFrame) -> pd.DataFrame:
    """A row a trial: how many parameters its base model has, tied ones once."""
    rows = trials.drop_duplicates("trial")
    counts = [parameters(sweep.trial(id)) for id in rows.trial]
    return rows.assign(name="parameters", value=counts, low=nan, high=nan, n=1, unit="parameters")


def parameters(run: Run) -> int:
    """From the headers of the saved weights, which are not read themselves."""
    count = 0
    for file in run.base.glob("*.safetensors"):
        with safe_open(file, framework="np") as weights:
            for name in weights.keys():  # noqa: SIM118 (no mapping)
                size = 1
                for length in weights.get_slice(name).get_shape():
                    size *= length
                count += size
    return count


def trace(run: Run) -> Iterator[pd.DataFrame]:
    """At every step that was traced, means over facts: loss (nats) and greedy accuracy."""
    if not run.trace_file.is_file():
        return
    for cell in cells(run.table("training/trace")):
        epochs = cell.rows.groupby("step").epoch.first()
        for kind, rows in cell.rows.groupby("set"):
            loss, right = by_fact(rows.assign(loss=-rows.log_prob), "loss"), by_fact(rows, "greedy")
            yield pd.DataFrame(
                {
                    "group": cell.group,
                    "asked": cell.asked,
                    "set": kind,
                    "step": loss.columns,
                    "epoch": epochs[loss.columns].to_numpy(),
                    "loss": loss.mean().to_numpy(),
                    "accuracy": right.mean().to_numpy(),
                    "n": len(loss),
                }
            )[list(OVER_TRAINING)]


def verdicts(run: Run) -> Iterator[pd.DataFrame]:
    """What each hypothesis of the run came to."""
    for measured in run.all_measured().values():
        for one in measured.verdicts:
            yield pd.DataFrame({"hypothesis": [one.hypothesis], "verdict": [one.verdict]})


def _first(table: pd.DataFrame, column: str) -> pd.DataFrame:
    return table[[column, *table.columns.drop(column)]]
