"""The runs of a sweep, each with its configuration, all valid before the first one starts."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from interp_rc.pipeline.config import RunConfig, validate
from interp_rc.pipeline.experiment_file import ExperimentFile, read_experiment
from interp_rc.pipeline.faults import explain
from interp_rc.pipeline.sweep.axes import Point, Sweep
from interp_rc.pipeline.yaml_source import KeyPath, step, with_value
from interp_rc.records.errors import ConfigError
from interp_rc.records.options import Options


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of a sweep; `id` is the hash of its configuration and names its folder."""

    id: str
    point: Point
    config: RunConfig


@dataclass(frozen=True, slots=True)
class Plan:
    name: str
    sweep: Sweep
    trials: list[Trial]


class _SweepBlock(Options):
    """Only so that a fault is told at its place below the key `sweep`."""

    sweep: Sweep


def load_plan(
    file: Path, sets: list[str] | None = None, *, smoke: bool = False
) -> RunConfig | Plan:
    """The experiment of a file: one run, or a sweep of several.

    Raises ConfigError naming file, line, key, what was found and what is known there, for the
    sweep itself and for every run of it.
    """
    experiment = read_experiment(file, sets, smoke=smoke)
    if experiment.sweep is None:
        return validate(experiment.data, experiment.source)
    block = {"sweep": experiment.sweep}
    try:
        sweep = _SweepBlock.model_validate(block).sweep
    except ValidationError as error:
        raise ConfigError(explain(error, experiment.source, block, _SweepBlock)) from None
    trials = {trial.id: trial for point in sweep.points() for trial in [_trial(experiment, point)]}
    first = next(iter(trials.values()))
    return Plan(first.config.name, sweep, list(trials.values()))


def _trial(experiment: ExperimentFile, point: Point) -> Trial:
    data, source = experiment.data, experiment.source
    for axis, value in point.items():
        path: KeyPath = tuple(map(step, axis.split(".")))
        there = [key for key in _AXES if (*key, axis) in source.lines]
        line = (*there[0], axis) if there else ("sweep",)
        data = with_value(data, path, value, source.place(line))
        source = source.at(path, line)
    config = validate(data, source)
    return Trial(config_hash(config), point, config)


_AXES: list[KeyPath] = [("sweep", "grid"), ("sweep", "random", "axes")]


def config_hash(config: RunConfig) -> str:
    """Twelve hexadecimal digits of the resolved configuration."""
    text = json.dumps(config.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
