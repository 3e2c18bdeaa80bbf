"""The folder of a sweep: the one place that knows where each part lies."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from interp_rc.records.errors import RunError
from interp_rc.records.files import read_json, read_text
from interp_rc.records.numbers import Estimate, estimates_from
from interp_rc.records.runs import Run

if TYPE_CHECKING:
    import pandas as pd

SEED = "seed"
"""The axis that cells average over."""


class SweepRun:
    """Reader and layout of `runs/<name>/` where that is a sweep of runs.

    ``trials.parquet`` holds a row for each number of each finished trial: `trial`, a column for
    each axis (by its dotted key; mappings and lists as text), `name`, `value`, `low`, `high`,
    `n`, `unit`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sweep_file = folder / "sweep.yaml"
        self.trials_file = folder / "trials.parquet"
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
        try:
            value = yaml.safe_load(read_text(self.sweep_file))
        except yaml.YAMLError:
            value = None
        if not isinstance(value, dict):
            raise RunError(f"{self.sweep_file} is not a mapping; the sweep's folder is damaged")
        return value

    def axes(self) -> list[str]:
        return list(self.spec()["axes"])

    def results(self) -> dict[str, Estimate]:
        if not self.finished:
            raise RunError(
                f"{self.folder} is not finished; continue it with `interp-rc run … --resume`"
            )
        return estimates_from(read_json(self.results_file))

    def table(self) -> "pd.DataFrame":
        """All numbers of all finished trials."""
        import pandas as pd

        if not self.trials_file.is_file():
            raise RunError(
                f"{self.trials_file} is missing; continue the sweep with `interp-rc run … --resume`"
            )
        return pd.read_parquet(self.trials_file)
