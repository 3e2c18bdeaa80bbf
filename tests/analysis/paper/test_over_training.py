"""Curves over training: mean over seeds with its t interval, panel by panel."""

import pandas as pd
import pytest
from scipy import stats

from analysis.old_names import read_table
from analysis.paper.experiment3 import HELD_OUT
from analysis.paper.over_training import held_out_curves, in_percent, panels, same_order
from analysis.paper.parts import Paper
from interp_rc.records.errors import DataError


@pytest.fixture
def tuned(tables):
    return read_table(tables / "prompt_tuning_trace.csv")


def test_figure_9_has_a_panel_for_each_order_that_was_trained(tuned):
    found = panels(tuned)
    assert [panel.title for panel in found] == ["told name first", "told description first"]
    for panel in found:
        labels = [(one.label, one.asked, one.control) for one in panel.curves]
        assert labels == [
            ("same order", "same", False),
            ("in reverse", "reverse", False),
            ("shuffled", "same", True),
            ("shuffled", "reverse", True),
        ]
        assert all(list(one.xs) == [0, 1, 2] for one in panel.curves)


def test_curves_are_means_over_ten_seeds_with_t_intervals(tuned):
    group = "trained_backward"
    curve = panels(tuned)[1].curves[1]
    for epoch, estimate in zip(curve.xs, curve.estimates, strict=True):
        values = [
            row.loss
            for row in tuned.itertuples()
            if (row.group, row.asked, row.set, row.epoch) == (group, "reverse", "correct", epoch)
            and row._2 == group  # training.only
        ]
        assert len(values) == estimate.n == 10
        mean = sum(values) / 10
        sd = (sum((v - mean) ** 2 for v in values) / 9) ** 0.5
        assert estimate.value == pytest.approx(mean)
        assert estimate.high == pytest.approx(mean + stats.t.ppf(0.975, 9) * sd / 10**0.5)
    first, last = curve.estimates[0], curve.estimates[-1]
    assert first.value - last.value == pytest.approx(8, abs=1)  # as it was made
    shuffled = panels(tuned)[1].curves[3].estimates
    assert shuffled[0].value - shuffled[-1].value == pytest.approx(0, abs=1)


def test_what_is_not_learnt_in_the_same_order_is_said_to_say_nothing():
    def trials(*lead):
        rows = [(told, seed, f"trace.advantage.{told}.same", value, None, None, 30, "nat")
                for told, values in zip(("trained_forward", "trained_backward"), lead,
                                        strict=True)
                for seed, value in enumerate(values)]  # fmt: skip
        columns = ["training.only", "seed", "name", "value", "low", "high", "n", "unit"]
        return pd.DataFrame(rows, columns=columns)

    text = same_order(trials([3.0, 3.1, 3.2], [-1.0, 0.0, 2.0]))
    assert "told name first by 3.10\u00a0nat" in text
    assert "facts told description first were not shown to be learnt" in text
    assert "says nothing" not in same_order(trials([3.0, 3.1, 3.2], [1.0, 1.1, 1.2]))


def test_figure_11_draws_held_out_questions_of_each_order(tables):
    trace = read_table(tables / "instructions_trace.csv")
    for asked, cell in HELD_OUT.items():
        right, other = held_out_curves(trace, cell)
        assert (right.asked, right.control, other.control) == (asked, False, True)
        rows = trace[(trace.group == cell.split(".")[0]) & (trace["set"] == "correct")
                     & (trace.step == 8)]  # fmt: skip
        assert len(rows) == 3
        assert right.estimates[-1].value == pytest.approx(rows.accuracy.mean())
        drawn = in_percent(right).estimates[-1]
        assert (drawn.value, drawn.unit) == (pytest.approx(100 * rows.accuracy.mean()), "%")
    loss = panels(read_table(tables / "prompt_tuning_trace.csv"))[0].curves[0]
    assert in_percent(loss) == loss


def test_a_sweep_over_other_axes_is_told(tables, tmp_path):
    trials = read_table(tables / "learning_rates.csv").drop(columns="training.batch_size")
    trials.to_csv(tmp_path / "learning_rates.csv", index=False)
    paper = Paper(tmp_path, tmp_path)
    with pytest.raises(DataError, match=r"no column 'training.batch_size'; .*learning_rates.yaml"):
        paper.table("learning_rates", "training.learning_rate", "training.batch_size")
    assert paper.table("scaling") is None
