"""The page's drawings: numbers where they belong, and nothing cut off."""

import numpy as np
import pandas as pd
import pytest

from analysis.paper.figures import Dot, SizeCurve, dots, pairs, settings_map, size_curves
from interp_rc.display.figures.save import svg
from interp_rc.display.figures.style import DARK, LIGHT, WIDTH, styled
from interp_rc.records.numbers import Estimate

SAME, REVERSE = Estimate(0.9, 0.8, 1.0, 3, "fraction"), Estimate(0.01, 0.0, 0.04, 3, "fraction")
GRID = pd.DataFrame([[0.123, 0.456], [np.nan, 1.0]], index=[1e-4, 1e-3], columns=[1, 16])

LONG = "description → name, in reverse"


def drawings(theme):
    points = {"same": SAME, "reverse": REVERSE}
    nats = Estimate(-11.5, -12, -11, 30, "nat"), Estimate(-9.0, None, None, 30, "nat")
    return [
        settings_map({"same": GRID, "reverse": GRID}, theme, rows="learning rate", columns="batch"),
        dots({"": [Dot("told name first", points)]}, theme, quantity="q [%]"),
        dots({"one": [Dot(LONG, points)], "two": [Dot("x", points)]}, theme, quantity="q [%]"),
        pairs([("seed 0", *nats), ("seed 1", *nats)], theme),
        size_curves([SizeCurve(LONG, "same", [1e6, 1e9], [SAME, REVERSE])] * 4, theme,
                    x="parameters"),
    ]  # fmt: skip


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_nothing_is_drawn_outside_and_every_axis_is_labelled(theme):
    with styled(theme):
        for figure in drawings(theme):
            svg(figure)
            box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
            assert width <= WIDTH
            assert min(box.x0, box.y0) >= -0.02
            assert box.x1 <= width + 0.02
            assert box.y1 <= height + 0.02
            assert any(axes.get_xlabel() for axes in figure.axes)


def test_cells_say_their_rates_in_their_places():
    with styled(LIGHT):
        figure = settings_map({"same": GRID}, LIGHT, rows="learning rate", columns="batch size")
        figure.canvas.draw()
        (axes,) = figure.axes
        said = {(round(t.get_position()[0]), round(t.get_position()[1])): t.get_text()
                for t in axes.texts}  # fmt: skip
    assert said == {(0, 0): "12.3", (1, 0): "45.6", (0, 1): "", (1, 1): "100.0"}
    assert [t.get_text() for t in axes.get_yticklabels()] == ["0.0001", "0.001"]


def test_points_stand_at_their_values():
    with styled(LIGHT):
        (axes,) = dots({"": [Dot("x", {"same": SAME, "reverse": REVERSE})]}, LIGHT,
                       quantity="q").axes  # fmt: skip
        at = {line.get_color(): line.get_xdata()[0] for line in axes.lines
              if len(line.get_xdata()) == 1}  # fmt: skip
        (lines,) = size_curves([SizeCurve("c", "same", [1, 2], [SAME, REVERSE])], LIGHT, x="x").axes
    assert at == {LIGHT.same: pytest.approx(90), LIGHT.reverse: pytest.approx(1)}
    assert list(lines.lines[0].get_ydata()) == pytest.approx([90, 1])


def test_a_panel_holds_its_own_rows():
    panels = {"one": [Dot("a", {"same": SAME})], "none": [], "two": [Dot("b", {"reverse": SAME})]}
    with styled(LIGHT):
        figure = dots(panels, LIGHT, quantity="q")
    assert [axes.get_title() or axes.get_title("left") for axes in figure.axes] == ["one", "two"]
    labels = [[t.get_text() for t in axes.get_yticklabels()] for axes in figure.axes]
    assert labels == [["a"], ["b"]]
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["same order", "in reverse"]
