"""Figures of sweeps show every number they are given."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from interp_rc.display.figures.settings import Curve, Grid, curves_figure, grids_figure
from interp_rc.display.figures.style import DARK, LIGHT, styled
from interp_rc.records.numbers import Estimate


def rates(*values):
    return [None if v is None else Estimate(v, v - 0.1, v + 0.1, 5, "fraction") for v in values]


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_curves_are_the_estimates_in_percent(theme):
    nothing = Estimate(None, None, None, 0, "fraction")
    curves = [
        Curve("right", "same", rates(0.2, 0.5, 0.9)),
        Curve("wrong", "reverse", [*rates(0.1, 0.2), nothing]),
    ]
    with styled(theme):
        figure = curves_figure(curves, ["a", "b", "c"], theme, axis="letter", quantity="[%]")
    (axes,) = figure.axes
    marked = [line for line in axes.lines if line.get_marker() not in ("None", None, "")]
    assert [round(y, 6) for y in marked[0].get_ydata()] == [20, 50, 90]
    assert np.isnan(marked[1].get_ydata()[2])
    intervals = [tuple(line.get_ydata()) for line in axes.lines if len(line.get_ydata()) == 2]
    assert len(intervals) == 5
    assert np.allclose(intervals[0], (10, 30))
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["a", "b", "c"]


def test_every_cell_bears_its_number():
    values = np.array([[0.0, 51.2], [99.6, np.nan]])
    with styled(LIGHT):
        figure = grids_figure(
            [Grid("match", values, (0, 100)), Grid("again", values, (0, 100), digits=1)],
            ["1", "2"],
            ["x", "y"],
            LIGHT,
            axes_named=("rate", "size"),
        )
        FigureCanvasAgg(figure).draw()
    shown = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    assert shown == [["0", "51", "100", "–"], ["0.0", "51.2", "99.6", "–"]]
    dark = figure.axes[0].patches[2].get_facecolor()
    assert np.allclose(dark[:3], [0, 0x72 / 255, 0xB2 / 255], atol=0.02)  # the colour of "same"
