"""The folder of a run: the one place that knows where each part lies."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interp_rc.records.errors import DataError, RunError
from interp_rc.records.estimates import Estimates, row_from
from interp_rc.records.files import write_json
from interp_rc.records.manifest import Manifest, check_seal
from interp_rc.records.nouns import NAMED, Roles
from interp_rc.records.numbers import Estimate, Test, Verdict, estimates_from
from interp_rc.records.strict_json import json_text, read_json
from interp_rc.records.strict_yaml import NotYaml, read_yaml
from interp_rc.records.tables import read_parquet

if TYPE_CHECKING:
    import pandas as pd

REMADE = {"base": "base and model", "facts": "facts, base, model and measured"}
"""What else is made again where a part is damaged."""


@dataclass
class Measured:
    """What a measure found. `tables` and `figures` are paths inside the run's folder.

    `roles` says what the subjects and objects of the facts are called.
    """

    estimates: Estimates = field(default_factory=Estimates)
    tests: list[Test] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    figures: list[str] = field(default_factory=list)
    roles: Roles = NAMED

    def as_dict(self) -> dict[str, Any]:
        """For a file of JSON."""
        return {
            "prefix": self.estimates.prefix,
            "estimates": [row.as_dict() for row in self.estimates.rows],
            "tests": [asdict(test) for test in self.tests],
            "verdicts": [asdict(verdict) for verdict in self.verdicts],
            "tables": self.tables,
            "figures": self.figures,
            "roles": self.roles,
        }


def read_mapping(file: Path, what: str) -> dict[str, Any]:
    """The YAML mapping that a part of a folder is; RunError, naming `what`, if it is none."""
    check_seal(file)
    try:
        value = read_yaml(file)
    except NotYaml:
        value = None
    if not isinstance(value, dict):
        raise RunError(f"{file} is not a mapping; the {what}'s folder is damaged")
    return value


def read_results(file: Path) -> dict[str, Estimate]:
    """The content of a results.json; RunError if it is not there or not whole."""
    if not file.is_file():
        raise RunError(
            f"{file.parent} is not finished; continue it with `interp-rc run … --resume`"
        )
    try:
        return estimates_from(read_json(file))
    except (TypeError, AttributeError):
        raise RunError(f"{file} is damaged; delete it and run again with --resume") from None


def evaluated(table: "pd.DataFrame") -> "pd.DataFrame":
    """The rows of the model in question: the finetuned one, or the base where none was trained."""
    trained = table[table.model == "finetuned"]
    return table if trained.empty else trained


class Run:
    """Reader and layout of `runs/<name>/`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = Manifest(folder, REMADE)
        self.config_file = folder / "config.yaml"
        self.environment_file = folder / "environment.json"
        self.log_file = folder / "log.jsonl"
        self.facts = folder / "facts"
        self.base = folder / "base"
        self.base_facts = folder / "base_facts"
        self.model = folder / "model"
        self.checkpoints = folder / "checkpoints"
        self.responses_file = folder / "responses.sqlite"
        self.trace_file = folder / "training" / "trace.parquet"
        self.evaluation = folder / "evaluation"
        self.mechanism = folder / "mechanism"
        self.measured = folder / "measured"
        self.figures = folder / "figures"
        self.estimates_file = folder / "estimates.parquet"
        self.results_file = folder / "results.json"
        self.tests_file = folder / "tests.json"
        self.verdicts_file = folder / "verdicts.json"
        self.report_file = folder / "report.html"

    @classmethod
    def open(cls, folder: Path) -> "Run":
        """An existing run; RunError if the folder holds none."""
        run = cls(folder)
        if not run.config_file.is_file():
            raise RunError(f"{folder} holds no run (no config.yaml); give the folder of a run")
        return run

    @property
    def finished(self) -> bool:
        return self.results_file.is_file()

    def config(self) -> dict[str, Any]:
        return read_mapping(self.config_file, "run")

    def environment(self) -> dict[str, Any]:
        """What the run was begun with. Raises RunError if that is damaged."""
        self.manifest.check_file(self.environment_file)
        value = read_json(self.environment_file)
        if not isinstance(value, dict):
            raise RunError(
                f"{self.environment_file} is damaged; delete it and run again with --resume"
            )
        return value

    def results(self) -> dict[str, Estimate]:
        self.manifest.check_file(self.results_file)
        return read_results(self.results_file)

    def table(self, name: str) -> "pd.DataFrame":
        """A table of the run, e.g. ``evaluation/answers``."""
        path = self.folder / f"{name}.parquet"
        self.manifest.check_file(path)
        if not path.is_file():
            raise RunError(f"{path} is missing; run the measure that writes it")
        try:
            return read_parquet(path)
        except DataError as error:
            raise RunError(
                f"{error}; delete it and its measure's file in "
                f"{self.measured}, and run again with --resume"
            ) from None

    def write_measured(self, kind: str, measured: Measured) -> None:
        """Keep one measure's numbers; a resumed run skips the measure if this file is there."""
        mark = f"measured/{kind}.json"
        self.manifest.forget(mark)
        write_json(self.folder / mark, measured.as_dict())
        self.manifest.record(mark, *(self.folder / f"{name}.parquet" for name in measured.tables))

    def read_measured(self, kind: str) -> Measured | None:
        path = self.measured / f"{kind}.json"
        if not path.exists():
            return None
        self.manifest.check_file(path)
        raw = read_json(path)
        try:
            return Measured(
                estimates=Estimates(raw["prefix"], map(row_from, raw["estimates"])),
                tests=[Test(**row) for row in raw["tests"]],
                verdicts=[Verdict(**row) for row in raw["verdicts"]],
                tables=raw["tables"],
                figures=raw["figures"],
                roles=Roles(*raw["roles"]),
            )
        except (LookupError, TypeError, AttributeError):
            raise RunError(f"{path} is damaged; delete it and run again with --resume") from None

    def all_measured(self) -> dict[str, Measured]:
        """Every finished measure by kind, in the order of the configuration."""
        kinds = [measure["kind"] for measure in self.config().get("measures", [])]
        found = {kind: self.read_measured(kind) for kind in kinds}
        return {kind: measured for kind, measured in found.items() if measured is not None}

    def note(self, event: str, **content: Any) -> None:
        """Add an event to the run's log."""
        line = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "event": event, **content}
        with self.log_file.open("a", encoding="utf-8") as out:
            out.write(json_text(line) + "\n")

    def log(self) -> Iterator[dict[str, Any]]:
        """Events of the run, oldest first; a line cut off by a kill is left out."""
        if self.log_file.is_file():
            text = self.log_file.read_bytes().decode(errors="replace")
            for line in text.split("\n"):
                with contextlib.suppress(ValueError, RecursionError):
                    event = json.loads(line)
                    if isinstance(event, dict):
                        yield event
