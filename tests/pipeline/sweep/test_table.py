"""The table of a sweep and its means over seeds, against plain sums."""

import pandas as pd
import pytest
from scipy import stats

from interp_rc.pipeline.sweep.plan import load_plan
from interp_rc.pipeline.sweep.table import cells_table, results, specification, trials_table
from interp_rc.records.files import write_json, write_parquet
from interp_rc.records.numbers import Estimate
from interp_rc.records.sweeps import SEED, SweepRun
from interp_rc.stats.over_seeds import estimates_by_cell


def finish(sweep, trial, **values):
    """As if the trial had been run."""
    estimates = {
        name: Estimate(value, value - 0.1, value + 0.1, 30, "nat").as_dict()
        for name, value in values.items()
    }
    write_json(sweep.trial(trial.id).results_file, estimates)


def found_in(sweep, plan):
    """The results of a sweep whose trials are finished."""
    axes = [axis for axis in plan.trials[0].point if axis != SEED]
    return results(estimates_by_cell(trials_table(sweep, plan.trials), axes), axes)


@pytest.fixture
def plan(tiny):
    return load_plan(tiny(("seed: [0, 1]", "seed: [0, 1, 2]")))


def test_one_row_a_number_of_each_finished_trial(plan, tmp_path):
    sweep = SweepRun(tmp_path / "sweep")
    for number, trial in enumerate(plan.trials[:-1]):
        finish(sweep, trial, gain=float(number), loss=10.0 + number)
    table = trials_table(sweep, plan.trials)
    assert list(table.columns) == [
        "trial", "training.learning_rate", "seed", "name", "value", "low", "high", "n", "unit",
    ]  # fmt: skip
    assert len(table) == 10
    third = table[(table.trial == plan.trials[2].id) & (table.name == "loss")].iloc[0]
    assert (third["training.learning_rate"], third.seed, third.value) == (1e-3, 2, 12.0)
    assert (third.low, third.high, third.n, third.unit) == (11.9, 12.1, 30, "nat")


def test_cells_are_means_over_seeds(plan, tmp_path):
    sweep = SweepRun(tmp_path / "sweep")
    values = [1.0, 2.0, 6.0, 5.0, 5.5, 7.5]
    for value, trial in zip(values, plan.trials, strict=True):
        finish(sweep, trial, gain=value)
    found = found_in(sweep, plan)
    assert list(found) == ["learning_rate_0_001.gain", "learning_rate_0_01.gain"]
    first = found["learning_rate_0_001.gain"]
    assert (first.value, first.n) == (3.0, 3)
    sem = stats.tstd(values[:3]) / 3**0.5
    assert first.high == pytest.approx(3.0 + stats.t.ppf(0.975, 2) * sem)


@pytest.mark.parametrize("axes", [[], ["rate"], ["rate", "model.size"]])
def test_cells_are_read_as_they_were_found(tmp_path, axes):
    """Values of axes, none among them, and numbers that are not there."""
    points = {(): [()], ("rate",): [(0.5,), (float("nan"),), (0.25,)]}
    there = points.get(tuple(axes), [(0.5, "a"), (0.25, "b"), (0.5, "b")])
    cells = {
        cell: {
            "gain": Estimate(n / 3, None, n / 7, 4, "nat"),
            "loss": Estimate(None, None, None, 0, "nat"),
        }
        for n, cell in enumerate(there)
    }
    sweep = SweepRun(tmp_path)
    write_parquet(sweep.cells_file, cells_table(cells, axes))
    assert list(sweep.cells().values()) == list(cells.values())
    assert list(map(str, sweep.cells())) == list(map(str, cells))


def test_one_seed_keeps_its_interval_over_facts(tiny, tmp_path):
    plan = load_plan(tiny(), ["seed=4"])
    sweep = SweepRun(tmp_path / "sweep")
    finish(sweep, plan.trials[0], gain=2.0)
    found = found_in(sweep, plan)
    assert found == {"learning_rate_0_001.gain": Estimate(2.0, 1.9, 2.1, 30, "nat")}


def test_axes_of_mappings_and_of_seeds_alone(tiny, tmp_path):
    sizes = "model.size: [{layers: 1, width: 16}, {layers: 2, width: 16}]"
    plan = load_plan(tiny(("training.learning_rate: [1.0e-3, 1.0e-2]", sizes)))
    assert plan.trials[2].config.model.size.layers == 2
    sweep = SweepRun(tmp_path / "sizes")
    for trial in plan.trials:
        finish(sweep, trial, gain=1.0)
    table = trials_table(sweep, plan.trials)
    assert set(table["model.size"]) == {"layers 1, width 16", "layers 2, width 16"}
    named = found_in(sweep, plan)
    assert list(named) == ["size_layers_1_width_16.gain", "size_layers_2_width_16.gain"]

    seeds = load_plan(tiny(), ["training.learning_rate=0.1"])
    sweep = SweepRun(tmp_path / "seeds")
    for trial in seeds.trials:
        finish(sweep, trial, gain=1.0)
    assert list(found_in(sweep, seeds)) == ["all.gain"]


def test_settings_that_read_alike_are_told_apart(tiny, tmp_path):
    plan = load_plan(tiny(("[1.0e-3, 1.0e-2]", "[0.001, 0.00100000001]")), ["seed=0"])
    sweep = SweepRun(tmp_path / "sweep")
    for trial in plan.trials:
        finish(sweep, trial, gain=1.0)
    found = found_in(sweep, plan)
    assert list(found) == ["learning_rate_0_001_1.gain", "learning_rate_0_001_2.gain"]


def test_the_specification_names_every_trial(plan):
    spec = specification(plan)
    assert spec["axes"] == {"training.learning_rate": [1e-3, 1e-2], "seed": [0, 1, 2]}
    assert list(spec["trials"]) == [trial.id for trial in plan.trials]
    assert pd.Series(spec["trials"]).map(lambda p: p["seed"]).tolist() == [0, 1, 2] * 2
