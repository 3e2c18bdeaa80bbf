"""Tables of sweeps: means over seeds equal a plain loop, maps and rows are of the right trials."""

import pandas as pd
import pytest
from scipy import stats

from analysis.old_names import read_table
from analysis.paper.settings import own_map, published_map
from analysis.paper.sweeps import at_setting, axes, by_setting, spreads

RATE = "exact_match.trained_forward.same"
OTHER = "exact_match.trained_backward.same"


def read(tables, name):
    return read_table(tables / f"{name}.csv")


def test_means_over_seeds_equal_a_plain_loop(tables):
    trials = read(tables, "both_doses")
    found = list(spreads(trials, RATE))
    assert [one.setting for one in found] == [{"facts.both": n} for n in (0, 5, 15, 30, 60)]
    for one in found:
        rows = trials[
            (trials["name"] == RATE) & (trials["facts.both"] == one.setting["facts.both"])
        ]
        values = list(rows.value)
        mean = sum(values) / 3
        sd = (sum((v - mean) ** 2 for v in values) / 2) ** 0.5
        assert one.seeds == 3
        assert one.mean.value == pytest.approx(mean)
        assert one.sd == pytest.approx(sd)
        assert one.se == pytest.approx(sd / 3**0.5)
        unseen = 1 - 0.025 ** (1 / rows.n.sum())  # of other facts, and yet none of them met
        t_low = mean - stats.t.ppf(0.975, 2) * sd / 3**0.5
        assert one.mean.low == pytest.approx(min(t_low, mean * (1 - unseen)))


def test_one_seed_keeps_the_interval_over_facts():
    trials = pd.DataFrame({"name": [RATE], "value": 0.5, "low": 0.4, "high": 0.6, "n": 30,
                           "unit": "fraction"})  # fmt: skip
    (one,) = spreads(trials, RATE)
    assert (one.mean.low, one.mean.high, one.mean.n) == (0.4, 0.6, 30)
    assert one.sd is None
    assert one.se is None


def test_names_are_whole_or_patterns(tables):
    trials = read(tables, "instructions")
    assert len(list(spreads(trials, "exact_match.trained_forward.same"))) == 1
    assert len(list(spreads(trials, "related_answer_floor.*"))) == 6
    assert not list(spreads(trials, "exact_match"))


def test_a_setting_may_lack_a_key_that_others_have(tables):
    trials = read(tables, "forty_thousand")
    small, large = by_setting(spreads(trials, RATE, OTHER))
    assert set(small.found) == set(large.found) == {RATE, OTHER}
    assert small.setting["facts.exposures"] == 90
    assert "facts.exposures" not in large.setting
    rows = at_setting(trials, large.setting, axes(trials))
    assert set(rows["facts.per_subset"]) == {100}
    only = trials.assign(**{"facts.per_subset": 1, "facts.training_templates": 1})
    setting = {"facts.per_subset": 1, "facts.training_templates": 1}
    assert at_setting(only, setting, axes(only))["facts.exposures"].isna().all()


def test_maps_hold_the_mean_of_subsets(tables):
    trials = read(tables, "learning_rates")
    grid = own_map(trials, RATE, OTHER)
    assert grid.shape == (4, 3)
    assert grid.index.name == "training.learning_rate"
    chosen = trials[trials["name"].isin([RATE, OTHER])]
    chosen = chosen[
        (chosen["training.learning_rate"] == 1e-3) & (chosen["training.batch_size"] == 32)
    ]
    assert len(chosen) == 2
    assert grid.loc[1e-3, 32] == pytest.approx(chosen.value.mean())
    assert own_map(trials, "nothing").empty
    twice = pd.DataFrame({"quantity": "q", "learning_rate": [1.0, 1.0], "batch_size": [2.0, 2.0],
                          "value": [0.2, 0.4]})  # fmt: skip
    assert published_map(twice, "q").loc[1.0, 2.0] == pytest.approx(0.3)


def test_a_map_of_a_third_axis_holds_one_of_its_values(tables):
    """Each direction is asked of models that were told in one order only."""
    trials = read(tables, "instructions_sweep")
    for name, order in (("trained_forward.same", "question_first"),
                        ("trained_backward.reverse", "answer_first")):  # fmt: skip
        grid = own_map(trials, f"exact_match.{name}")
        assert grid.shape == (3, 3)
        (there,) = trials[(trials["facts.order"] == order) & (trials["training.batch_size"] == 8)
                          & (trials["training.learning_rate"] == 4e-3)
                          & (trials["name"] == f"exact_match.{name}")].value  # fmt: skip
        assert grid.loc[4e-3, 8] == pytest.approx(there)
