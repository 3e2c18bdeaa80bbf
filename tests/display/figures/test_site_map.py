"""Maps of sites: cells stand where the numbers are, and nothing is cut off."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba

from interp_rc.display.figures.site_map import IMPOSSIBLE, Grid, site_map_figure
from interp_rc.display.figures.style import DARK, LIGHT, styled

THEMES = pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)


def grid(rows=4, layers=3, title="mlp_out", labels=None, scale=1.0):
    values = scale * np.linspace(-1, 1, rows * layers).reshape(rows, layers)
    values[1, 1] = np.nan
    impossible, masked = np.zeros((2, rows, layers), bool)
    impossible[0, 2] = True
    masked[0, 2] = masked[1, 1] = masked[2, 0] = True
    labels = labels or [f"place {i}" for i in range(rows)]
    return Grid(title, labels, list(range(layers)), values, impossible, masked)


def figure_of(theme, *grids, limit=1.0):
    with styled(theme):
        figure = site_map_figure(grids, theme, quantity="effect [nat]", limit=limit, masked="no")
        FigureCanvasAgg(figure).draw()
    return figure


def color_at(figure, axes, layer, row):
    """The colour of the picture in the middle of a cell."""
    _, height = figure.canvas.get_width_height()
    x, y = axes.transData.transform((layer + 0.5, row + 0.5))
    pixels = np.asarray(figure.canvas.buffer_rgba()) / 255
    return pixels[int(height - y), int(x)][:3]


@THEMES
@pytest.mark.parametrize(("count", "rows", "layers"), [(1, 3, 3), (3, 4, 3), (5, 30, 48)])
def test_nothing_is_drawn_outside_the_figure(theme, count, rows, layers):
    long = [f"a rather long token {i}" for i in range(rows)]
    grids = [grid(rows, layers, f"panel {i}", long) for i in range(count)]
    figure = figure_of(theme, *grids)
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert min(box.x0, box.y0) >= -0.02
    assert box.x1 <= width + 0.02
    assert box.y1 <= height + 0.02


@THEMES
def test_cells_are_coloured_by_value_and_grey_where_nothing_can_be(theme):
    figure = figure_of(theme, grid())
    axes = figure.axes[0]

    def near(layer, row, color):
        return np.abs(color_at(figure, axes, layer, row) - to_rgba(color)[:3]).max() < 0.02

    upper, lower = axes.transData.transform([(0, 0), (0, 3)])
    assert upper[1] > lower[1]
    assert near(0, 0, theme.reverse)  # -1, in the upper left corner
    assert near(2, 3, theme.same)  # 1, in the lower right one
    assert near(2, 0, theme.faint)  # impossible
    assert near(1, 1, theme.paper)  # not measured


def test_only_what_was_measured_and_possible_is_hatched():
    hatched = figure_of(LIGHT, grid()).axes[0].collections[2]
    assert len(hatched.get_paths()) == 1
    assert hatched.get_paths()[0].vertices.min(0).tolist() == [0, 2]
    assert hatched.get_hatch()


def test_rows_are_named_once_where_neighbours_have_the_same():
    other = grid(labels=["w", "x", "y", "z"])
    figure = figure_of(LIGHT, grid(), grid(), other, grid(labels=other.labels))
    named = [axes.get_yticklabels()[0].get_text() for axes in figure.axes[:4]]
    assert named == ["place 0", "", "w", "w"]  # the fourth begins a line of its own
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["no", IMPOSSIBLE]


@pytest.mark.parametrize(("scale", "extend"), [(1.0, "neither"), (1.5, "both")])
def test_what_is_beyond_the_colours_is_said(scale, extend):
    figure = figure_of(LIGHT, grid(scale=scale))
    assert figure.axes[-1]._colorbar.extend == extend
