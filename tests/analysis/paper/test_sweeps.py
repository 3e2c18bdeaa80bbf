"""Sweeps into tables and back: nothing is lost, and means over seeds are those of a plain loop."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.paper.settings import own_map, published_map
from analysis.paper.sweeps import EXPERIMENTS, axes, collect, own_trials, read_trials, spreads
from interp_rc.records.errors import DataError, RunError
from interp_rc.records.files import write_parquet

RATE = "exact_match.name_to_description.same"


def test_what_is_collected_is_what_the_sweeps_hold(sweeps, tables):
    for experiment in set(EXPERIMENTS) - {"descriptions"}:
        there = pd.read_parquet(sweeps / experiment / "trials.parquet")
        here = own_trials(experiment, tables)
        assert axes(here) == axes(there)
        assert len(here) == len(there)
        np.testing.assert_allclose(here.value, there.value, rtol=1e-5)
        told = json.loads((tables / f"{experiment}.environment.json").read_text())
        assert told["table"]["interp_rc"]


def test_means_over_seeds_equal_a_plain_loop(tables):
    trials = own_trials("learning_rates", tables)
    found = list(spreads(trials, RATE))
    assert len(found) == 9
    for one in found:
        rows = trials[trials["name"] == RATE]
        for axis, at in one.setting.items():
            rows = rows[rows[axis] == at]
        values = list(rows.value)
        mean = sum(values) / 3
        sd = (sum((v - mean) ** 2 for v in values) / 2) ** 0.5
        assert one.seeds == 3
        assert one.mean.value == pytest.approx(mean)
        assert one.sd == pytest.approx(sd)
        assert one.se == pytest.approx(sd / 3**0.5)
        assert one.mean.high - mean == pytest.approx(stats.t.ppf(0.975, 2) * sd / 3**0.5)


def test_one_seed_keeps_the_interval_over_facts(make_trials):
    trials = make_trials({}, {RATE: 0.5}, seeds=1).assign(low=0.4, high=0.6)
    (one,) = spreads(trials, RATE)
    assert (one.mean.low, one.mean.high, one.mean.n) == (0.4, 0.6, 30)
    assert one.sd is None
    assert one.se is None


def test_names_are_whole_or_beginnings(tables):
    trials = own_trials("instructions", tables)
    assert len(list(spreads(trials, "exact_match.instructions.reverse"))) == 1
    assert len(list(spreads(trials, "exact_match.instructions.reverse*"))) == 6
    assert not list(spreads(trials, "nothing"))


def test_maps_hold_the_mean_of_subsets_and_seeds(tables):
    trials = own_trials("learning_rates", tables)
    other = "exact_match.description_to_name.same"
    grid = own_map(trials, RATE, other)
    assert grid.shape == (3, 3)
    assert grid.index.name == "training.learning_rate"
    chosen = trials[trials["name"].isin([RATE, other])]
    chosen = chosen[
        (chosen["training.learning_rate"] == 1e-3) & (chosen["training.batch_size"] == 4)
    ]
    assert grid.loc[1e-3, 4] == pytest.approx(chosen.value.mean())
    assert own_map(own_trials("scaling", tables), RATE) is None
    assert own_map(trials, "nothing") is None
    twice = pd.DataFrame({"quantity": "q", "learning_rate": [1.0, 1.0], "batch_size": [2.0, 2.0],
                          "value": [0.2, 0.4]})  # fmt: skip
    assert published_map(twice, "q").loc[1.0, 2.0] == pytest.approx(0.3)


def test_a_table_that_is_not_there_is_none(tmp_path):
    assert own_trials("scaling", tmp_path) is None


def test_unfinished_and_damaged_sweeps_are_told(sweeps, tmp_path):
    with pytest.raises(RunError, match="no finished sweep"):
        read_trials(tmp_path)
    with pytest.raises(RunError, match="no finished sweep of learning_rates"):
        collect(tmp_path, tmp_path)
    shutil.copytree(sweeps / "scaling", tmp_path / "scaling")
    whole = pd.read_parquet(tmp_path / "scaling" / "trials.parquet")
    write_parquet(tmp_path / "scaling" / "trials.parquet", whole.drop(columns="unit"))
    with pytest.raises(DataError, match="'unit' is missing"):
        read_trials(tmp_path / "scaling")
    write_parquet(tmp_path / "scaling" / "trials.parquet", whole.drop(columns="model.size.width"))
    with pytest.raises(DataError, match=r"axis 'model\.size\.width'"):
        read_trials(tmp_path / "scaling")
