"""The section on what was said while learning, from a table made by hand."""

import numpy as np
import pandas as pd
import pytest

from interp_rc.display.figures.curves import Curve, CurvePanel, curves_figure
from interp_rc.display.figures.save import svg
from interp_rc.display.figures.style import DARK, LIGHT, WIDTH, styled
from interp_rc.measures.trace.measure import TABLE, estimates, loss_by_step, over_shuffled
from interp_rc.measures.trace.section import section
from interp_rc.records.files import write_parquet
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured
from tests.conftest import drawn


def by_hand(groups):
    draw, rows = np.random.default_rng(1), []
    for group in groups:
        directions = {"trained_forward": ("same", "reverse"), "both": (None, None)}
        for order, direction in zip(
            ("forward", "backward"), directions.get(group, ("reverse", "same")), strict=True
        ):
            for number in range(4):
                for step in (0, 5, 10):
                    for kind in ("correct", "shuffled"):
                        learnt = kind == "correct" and direction != "reverse"
                        nats = -30 + 2 * learnt * step + draw.normal(0, 0.2)
                        rows.append((step, step / 5, group, order, direction, "t",
                                     f"{group}.{number}", kind, nats, learnt))  # fmt: skip
    columns = "step epoch group order direction template fact set log_prob greedy"
    return pd.DataFrame(rows, columns=columns.split())


@pytest.fixture
def shown(make):
    def build(*groups):
        run = make(measures=["trace"])
        table = by_hand(groups)
        write_parquet(run.folder / f"{TABLE}.parquet", table)
        found = Measured(
            estimates(table, 0) | loss_by_step(table, 0), tests=over_shuffled(table, 0)
        )
        return run, drawn(section(run, found))

    return build


def test_every_step_of_a_curve_is_a_mean_over_facts():
    table = by_hand(["trained_forward", "both"])
    found = loss_by_step(table, 0)
    for step in (0, 5, 10):
        losses = [
            -row.log_prob
            for row in table.itertuples()
            if (row.group, row.direction, row.step) == ("trained_forward", "same", step)
            and row.set == "correct"
        ]
        one = found[f"trace.loss.trained_forward.same.correct.step_{step}"]
        assert (one.value, one.n) == (pytest.approx(sum(losses) / 4), 4)
    shuffled = {name.split(".")[3] for name in found if ".shuffled." in name}
    assert shuffled == {"reverse"}


def test_the_section_tells_both_directions_and_the_shuffled_control(shown):
    run, found = shown("trained_forward", "both")
    assert "told name first: asked same order by −" in found.sentence
    assert "in reverse by " in found.sentence
    assert found.sentence.count("of shuffled targets") == 1
    [table] = found.tables
    assert [row[:2] for row in table.rows] == [
        ["told name first", "same order"],
        ["told name first", "in reverse"],
        ["told in both orders", "name first"],
        ["told in both orders", "description first"],
    ]
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert (run.figures / "trace.png").stat().st_size > 10_000
    assert len(found.figures) == 1


def test_groups_that_nobody_has_heard_of_keep_their_names(shown):
    _, found = shown("questions_with_hints")
    assert "questions with hints: asked in reverse by" in found.sentence


def panel(number):
    values = [Estimate(v, v - 1, v + 1, 4, "nat") for v in (9.0, 5.0, 4.0)]
    alone = [Estimate(v, None, None, 1, "nat") for v in (9.0, 8.0, 8.0)]
    curves = [
        Curve("same order", "same", [0, 1, 2], values),
        Curve("in reverse", "reverse", [0, 1, 2], alone),
        Curve("in reverse, shuffled", "reverse", [0, 1, 2], alone, control=True),
    ]
    return CurvePanel(f"set {number}", curves)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_curves_stand_where_the_numbers_are(theme, count):
    with styled(theme):
        figure = curves_figure([panel(n) for n in range(count)], theme, quantity="loss [nat]")
        svg(figure)  # lays it out
        shown = [axes for axes in figure.axes if axes.get_visible()]
        assert len(shown) == count
        for axes in shown:
            lines = {line.get_label(): line for line in axes.get_lines()}
            assert list(lines["same order"].get_ydata()) == [9, 5, 4]
            assert list(lines["same order"].get_xdata()) == [0, 1, 2]
            assert lines["in reverse, shuffled"].get_linestyle() != "-"
            band = axes.collections[0].get_paths()[0].vertices
            assert {tuple(point) for point in band} >= {(0, 8), (0, 10), (2, 3), (2, 5)}
        assert shown[0].get_ylabel() == "loss [nat]"
        assert shown[-1].get_xlabel() == "epochs of training"
        [legend] = figure.legends
        assert len(legend.get_texts()) == 3
        box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
        assert width <= WIDTH
        assert box.x0 >= -0.02
        assert box.x1 <= width + 0.02
        assert box.y1 <= height + 0.02
