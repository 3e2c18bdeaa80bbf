"""The folder of a sweep: the one place that knows where each part lies."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interp_rc.records.errors import RunError
from interp_rc.records.manifest import Manifest
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Run, read_mapping, read_results
from interp_rc.records.tables import read_parquet

if TYPE_CHECKING:
    import pandas as pd

SEED = "seed"
"""The axis that cells average over."""
NUMBERS = ["name", "value", "low", "high", "n", "unit"]
"""Columns of a number in the tables of a sweep."""
Cells = Mapping[tuple[object, ...], dict[str, Estimate]]
"""By the values of all axes but the seed: what was found there, by name."""


class SweepRun:
    """Reader and layout of `runs/<name>/` where that is a sweep of runs.

    ``trials.parquet`` holds a row for each number of each finished trial: `trial`, a column for
    each axis (by its dotted key; mappings and lists as text), `name`, `value`, `low`, `high`,
    `n`, `unit`. ``cells.parquet`` has the same over the seeds of each setting.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = Manifest(folder)
        self.sweep_file = folder / "sweep.yaml"
        self.trials_file = folder / "trials.parquet"
        self.cells_file = folder / "cells.parquet"
        self.results_file = folder / "results.json"
        self.report_file = folder / "report.html"
        self.figures = folder / "figures"
        self.trials = folder / "trials"
        self.logs = folder / "logs"

    @classmethod
    def open(cls, folder: Path) -> "SweepRun":
        """An existing sweep; RunError if the folder holds none."""
        sweep = cls(folder)
        if not sweep.sweep_file.is_file():
            raise RunError(f"{folder} holds no sweep (no sweep.yaml); give the folder of a sweep")
        return sweep

    @property
    def finished(self) -> bool:
        return self.results_file.is_file()

    def trial(self, id: str) -> Run:
        return Run(self.trials / id)

    def spec(self) -> dict[str, Any]:
        """What `sweep.yaml` says: name, axes, show, trials."""
        spec = read_mapping(self.sweep_file, "sweep")
        kinds = {"name": str, "axes": dict, "trials": dict}
        if not all(isinstance(spec.get(key), kind) for key, kind in kinds.items()):
            raise RunError(f"{self.sweep_file} is damaged; continue the sweep with --resume")
        return spec

    def axes(self) -> list[str]:
        return list(self.spec()["axes"])

    def results(self) -> dict[str, Estimate]:
        self.manifest.check_file(self.results_file)
        return read_results(self.results_file)

    def table(self) -> "pd.DataFrame":
        """All numbers of all finished trials."""
        return self._read(self.trials_file)

    def cells(self) -> Cells:
        """What the finished trials found in each setting, over its seeds, in the plan's order."""
        table = self._read(self.cells_file)
        axes = [column for column in table.columns if column not in NUMBERS]
        groups = table.groupby(axes, sort=False, dropna=False) if axes else [((), table)]
        return {tuple(cell): _estimates(rows) for cell, rows in groups}

    def _read(self, file: Path) -> "pd.DataFrame":
        if not file.is_file():
            raise RunError(f"{file} is missing; continue the sweep with `interp-rc run … --resume`")
        self.manifest.check_file(file)
        return read_parquet(file)


def _estimates(rows: "pd.DataFrame") -> dict[str, Estimate]:
    found = {}
    for name, *ends, n, unit in rows[NUMBERS].itertuples(index=False):
        value, low, high = (None if end != end else float(end) for end in ends)
        found[str(name)] = Estimate(value, low, high, int(n), str(unit))
    return found


def text_of(value: Any) -> str:
    """A value of an axis as people read it: mappings without braces, numbers without noise."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {text_of(inner)}" for key, inner in value.items())
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value is None else str(value)
