"""An experiment's file: its `smoke` form and `--set` values laid over it, its sweep apart."""

import logging
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interp_rc.pipeline.yaml_source import Source, merge, read_source
from interp_rc.records.errors import ConfigError
from interp_rc.records.manifest import is_as_sealed

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExperimentFile:
    """`data` is one run's configuration; `sweep`, if there is one, what varies between runs."""

    source: Source
    data: dict[str, Any]
    sweep: Any = None


def read_experiment(
    file: Path, sets: list[str] | None = None, *, smoke: bool = False
) -> ExperimentFile:
    """Read a file; nothing is validated yet but that it is YAML and that `--set` fits.

    A smoke form may have a `sweep` of its own, which replaces the large one whole. A `--set` of a
    key that is swept fixes it: it is swept no longer.
    """
    source = read_source(file)
    if not is_as_sealed(file):
        log.warning(
            "%s was changed since a run wrote it, and is taken as it is now; where that is meant, "
            "delete its first line",
            file,
        )
    data = deepcopy(source.data)
    small = data.pop("smoke", None) or {}
    if not isinstance(small, dict):
        raise ConfigError(f"{source.place(('smoke',))}: smoke must be a mapping of overrides")
    if smoke and "sweep" in small:
        data.pop("sweep", None)
        source.forget("sweep")
    source.lay_over("smoke", used=smoke)
    if smoke:
        data = merge(data, small)
    for assignment in sets or []:
        data = source.set_value(data, assignment)
        _fix(data, assignment.partition("=")[0])
    return ExperimentFile(source, data, data.pop("sweep", None))


def _fix(data: dict[str, Any], key: str) -> None:
    """Take a key, and what is below it, out of the axes; a sweep without axes is one run."""
    sweep = data.get("sweep")
    if key.partition(".")[0] == "sweep" or not isinstance(sweep, dict):
        return
    random = sweep.get("random")
    axes = [sweep.get("grid"), random.get("axes") if isinstance(random, dict) else None]
    fixed = False
    for some in axes:
        if isinstance(some, dict):
            for axis in [a for a in some if str(a) == key or str(a).startswith(f"{key}.")]:
                del some[axis]
                fixed = True
    if fixed and not any(axes):
        data["sweep"] = None
