"""Sweeps into tables: nothing is lost, and what comes from the trials is what lies there."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file

from analysis.old_names import read_table
from analysis.paper.collect import collect, read_trials
from analysis.paper.sweeps import EXPERIMENTS, OVER_TRAINING, axes
from interp_rc.pipeline.config import load_config
from interp_rc.pipeline.experiments import find_experiment
from interp_rc.records.errors import DataError, RunError
from interp_rc.records.files import write_parquet
from interp_rc.records.strict_json import read_json
from interp_rc.records.sweeps import SweepRun

pytestmark = pytest.mark.slow


def test_what_is_collected_is_what_the_sweeps_hold(sweeps, tables):
    for experiment in EXPERIMENTS:
        sweep = SweepRun.open(sweeps / experiment)
        there, here = sweep.table(), read_table(tables / f"{experiment}.csv")
        sizes = here["name"] == "parameters"
        assert sizes.sum() == there.trial.nunique() == len(sweep.spec()["trials"])
        here = here[~sizes]
        assert len(here) == len(there)
        for column in ("trial", "name", "unit"):
            assert (here[column] == there[column]).all()
        for column in ("value", "low", "high", "n"):
            np.testing.assert_allclose(here[column], there[column], rtol=1e-5)
        told = json.loads((tables / f"{experiment}.environment.json").read_text())
        assert told["table"]["interp_rc"]
        assert len(told["runs"]) == 1


def test_every_trial_stands_at_its_setting(sweeps, tables):
    """Axes by the configuration of each trial; of mappings what differs among them."""
    expected = {
        "forty_thousand": ["facts.per_group", "facts.training_templates", "facts.exposures"],
        "scaling": ["model.size.layers", "model.size.width", "model.size.heads",
                    "model.learning_rate"],
    }  # fmt: skip
    for experiment in EXPERIMENTS:
        sweep, here = SweepRun(sweeps / experiment), read_table(tables / f"{experiment}.csv")
        plain = [axis for axis in sweep.axes() if axis != "seed"]
        assert axes(here) == expected.get(experiment, plain)
        for row in here.drop_duplicates("trial").to_dict("records"):
            config = sweep.trial(row["trial"]).config()
            for axis in [*axes(here), *(["seed"] if "seed" in here else [])]:
                value = config
                for key in axis.split("."):
                    value = value[key]
                assert row[axis] == value or (pd.isna(row[axis]) and value is None)


def test_sizes_are_those_of_the_saved_weights(sweeps, tables):
    here = read_table(tables / "scaling.csv")
    counts = here[here["name"] == "parameters"].set_index("trial").value
    assert counts.nunique() == len(counts) == 6
    for id, count in counts.items():
        weights = load_file(SweepRun(sweeps / "scaling").trial(id).base / "model.safetensors")
        assert count == sum(tensor.numel() for tensor in weights.values())


@pytest.mark.parametrize("experiment", ["prompt_tuning", "instructions"])
def test_traces_are_means_over_facts(sweeps, tables, experiment):
    here = read_table(tables / f"{experiment}_trace.csv")
    assert set(OVER_TRAINING) < set(here)
    assert here.trial.nunique() == len(SweepRun(sweeps / experiment).spec()["trials"])
    for row in here.sample(20, random_state=0).itertuples():
        there = SweepRun(sweeps / experiment).trial(row.trial).table("training/trace")
        asked = there.direction.fillna(there.order)
        there = there[(there.group == row.group) & (asked == row.asked)
                      & (there["set"] == row.set) & (there.step == row.step)]  # fmt: skip
        by_fact = [there[there.fact == fact] for fact in there.fact.unique()]
        assert row.n == len(by_fact) >= 3
        assert row.epoch == there.epoch.iloc[0]
        loss = sum(-rows.log_prob.mean() for rows in by_fact) / len(by_fact)
        right = sum(rows.greedy.mean() for rows in by_fact) / len(by_fact)
        assert row.loss == pytest.approx(loss, rel=1e-5)
        assert row.accuracy == pytest.approx(right, rel=1e-5)


def test_verdicts_are_those_of_the_trials(sweeps, tables):
    for experiment in EXPERIMENTS:
        config = load_config(find_experiment(experiment), ["sweep=null"])
        claims = "reverse_at_chance" in [measure.kind for measure in config.measures]
        file = tables / f"{experiment}_verdicts.csv"
        assert file.is_file() == claims
        for row in read_table(file).itertuples() if claims else ():
            run = SweepRun(sweeps / experiment).trial(row.trial)
            (there,) = read_json(run.measured / "reverse_at_chance.json")["verdicts"]
            assert (row.hypothesis, row.verdict) == ("reverse_at_chance", there["verdict"])


def test_unfinished_and_damaged_sweeps_are_told(sweeps, tmp_path):
    with pytest.raises(RunError, match="holds no sweep"):
        read_trials(SweepRun(tmp_path))
    with pytest.raises(RunError, match="no finished sweep of learning_rates"):
        collect(tmp_path, tmp_path)
    shutil.copytree(sweeps / "scaling", tmp_path / "scaling")
    sweep = SweepRun(tmp_path / "scaling")
    whole = sweep.table()
    for column in ("unit", "model"):
        write_parquet(sweep.trials_file, whole.drop(columns=column))
        with pytest.raises(DataError, match=f"{column!r} is missing"):
            read_trials(sweep)
    sweep.results_file.unlink()
    with pytest.raises(RunError, match="no finished sweep"):
        collect(tmp_path, tmp_path)
