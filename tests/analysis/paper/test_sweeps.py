"""Tables of sweeps: means over seeds equal a plain loop, maps are of the right trials."""

import pandas as pd
import pytest
from scipy import stats

from analysis.old_names import read_table
from analysis.paper.experiment1 import own_grid, published_grid
from analysis.paper.sweeps import at_settings, axes

RATE = "exact_match.trained_forward.same"
OTHER = "exact_match.trained_backward.same"


def read(tables, name):
    return read_table(tables / f"{name}.csv")


def test_means_over_seeds_equal_a_plain_loop(tables):
    trials = read(tables, "both_doses")
    found = at_settings(trials, [RATE], ["facts.both"])
    assert list(found) == [(n,) for n in (0, 5, 15, 30, 60)]
    for (dose,), estimates in found.items():
        rows = trials[(trials["name"] == RATE) & (trials["facts.both"] == dose)]
        values = list(rows.value)
        mean = sum(values) / 3
        sd = (sum((v - mean) ** 2 for v in values) / 2) ** 0.5
        (one,) = estimates.values()
        assert one.n == 3
        assert one.value == pytest.approx(mean)
        unseen = 1 - 0.025 ** (1 / rows.n.sum())  # of other facts, and yet none of them met
        t_low = mean - stats.t.ppf(0.975, 2) * sd / 3**0.5
        assert one.low == pytest.approx(min(t_low, mean * (1 - unseen)))


def test_one_seed_keeps_the_interval_over_facts():
    trials = pd.DataFrame({"name": [RATE], "value": 0.5, "low": 0.4, "high": 0.6, "n": 30,
                           "unit": "fraction"})  # fmt: skip
    one = at_settings(trials, [RATE], [])[()][RATE]
    assert (one.low, one.high, one.n) == (0.4, 0.6, 30)


def test_a_setting_may_lack_a_key_that_others_have(tables):
    trials = read(tables, "forty_thousand")
    small, large = at_settings(trials, [RATE, OTHER], axes(trials)).items()
    assert set(small[1]) == set(large[1]) == {RATE, OTHER}
    assert small[0][axes(trials).index("facts.exposures")] == 90
    assert large[0][axes(trials).index("facts.exposures")] is None


def test_maps_hold_the_mean_of_groups(paper, tables):
    trials = read(tables, "learning_rates")
    _, cells = own_grid(paper, "learning_rates", "", [RATE, OTHER], "x")
    assert len(cells) == 12
    assert list(cells) == sorted(cells)
    chosen = trials[(trials["training.learning_rate"] == 1e-3)
                    & (trials["training.batch_size"] == 32)].set_index("name").value  # fmt: skip
    assert cells[1e-3, 32][RATE].value == pytest.approx(chosen[RATE])
    twice = pd.DataFrame({"learning_rate": [1.0, 1.0], "batch_size": [2.0, 2.0],
                          "value": [0.2, 0.4]})  # fmt: skip
    assert published_grid(twice, "q")[1.0, 2.0]["q"].value == pytest.approx(0.3)


def test_a_map_of_a_third_axis_holds_one_of_its_values(paper, tables):
    """Each direction is asked of models that were told in one order only."""
    trials = read(tables, "instructions_sweep")
    for name, order in (("trained_forward.same", "question_first"),
                        ("trained_backward.reverse", "answer_first")):  # fmt: skip
        _, cells = own_grid(paper, "instructions_sweep", "", [f"exact_match.{name}"], "x")
        assert len(cells) == 9
        (there,) = trials[(trials["facts.order"] == order) & (trials["training.batch_size"] == 8)
                          & (trials["training.learning_rate"] == 4e-3)
                          & (trials["name"] == f"exact_match.{name}")].value  # fmt: skip
        assert cells[4e-3, 8][f"exact_match.{name}"].value == pytest.approx(there)
