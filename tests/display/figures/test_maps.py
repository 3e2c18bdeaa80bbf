"""Maps and profiles: cells and points stand where the numbers are, and nothing is cut off."""

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.patches import Rectangle

from interp_rc.display.figures.heatmap import Map, Rows, heatmap_figure
from interp_rc.display.figures.profile import Line, Panel, profile_figure
from interp_rc.display.figures.save import svg
from interp_rc.display.figures.style import DARK, LIGHT, WIDTH, styled
from interp_rc.records.numbers import Estimate

GROUPS = [Rows("attention", ["first", "last"]), Rows("residual stream", ["first", "last"])]
THEMES = pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)


def one_map(layers=3):
    values = np.linspace(-0.9, 0.9, 4 * layers).reshape(4, layers)
    values[1, 1] = np.nan
    impossible = np.zeros((4, layers), bool)
    impossible[0, 2] = True
    found = values > 0.5
    found[0, 2] = True
    return Map("told this way", values, impossible, found)


def heatmap(theme, layers=3):
    maps = [one_map(layers)] * 3
    return heatmap_figure(maps, GROUPS, theme, quantity="share of 14.2 nat")


def rate(value):
    return Estimate(value, max(0, value - 0.1), min(1, value + 0.1), 30, "fraction")


def profile(theme, panels=4):
    lines = [
        Line("told the other way", "reverse", [rate(0.0), rate(0.05), rate(0.1)]),
        Line("told in both orders", "both", [rate(0.1), rate(0.5), rate(0.9)]),
        Line("told in both orders, lens", "both", [rate(0.2)] * 3, faint=True),
    ]
    titles = [f"panel {i}" for i in range(panels)]
    return profile_figure(
        [Panel(title, lines, 1 / 30) for title in titles], list("012"), theme,
        quantity="found [%]", scale=100,
    )  # fmt: skip


@THEMES
@pytest.mark.parametrize(
    "draw", [heatmap, profile, lambda t: heatmap(t, 24), lambda t: profile(t, 3)]
)
def test_nothing_is_drawn_outside_the_figure(theme, draw):
    with styled(theme):
        figure = draw(theme)
        assert figure.get_size_inches()[0] <= WIDTH
        svg(figure)
        box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
        assert min(box.x0, box.y0) >= -0.02
        assert box.x1 <= width + 0.02
        assert box.y1 <= height + 0.02


@THEMES
def test_cells_are_coloured_by_value_and_grey_where_nothing_can_be(theme):
    with styled(theme):
        axes = heatmap(theme).axes[0]
    cells = [p for p in axes.patches if isinstance(p, Rectangle)]
    colors = [to_rgba(cell.get_facecolor()) for cell in cells]
    assert len(cells) == 12
    grey = to_rgba(theme.faint)
    assert [i for i, color in enumerate(colors) if color == grey] == [2, 4]  # impossible, NaN
    distance = [np.abs(np.subtract(c, to_rgba(theme.same))).sum() for c in colors]
    assert np.argmin(distance) == 11  # the largest effect
    distance = [np.abs(np.subtract(c, to_rgba(theme.reverse))).sum() for c in colors]
    assert np.argmin(distance) == 0  # the most negative one


def test_points_mark_discoveries_only_where_they_are_possible():
    with styled(LIGHT):
        axes = heatmap(LIGHT).axes[0]
    marked = {(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines}
    one = one_map()
    places = [0, 1, 3, 4]  # a row's heading stands between the groups
    expected = {
        (layer, places[row])
        for row in range(4)
        for layer in range(3)
        if one.found[row, layer] and not one.impossible[row, layer]
    }
    assert marked == expected
    assert expected


def test_a_profile_goes_through_its_values_in_percent():
    with styled(LIGHT):
        axes = profile(LIGHT).axes[0]
    by_label = {line.get_label(): line for line in axes.lines}
    np.testing.assert_allclose(by_label["told in both orders"].get_ydata(), [10, 50, 90])
    assert by_label["told in both orders, lens"].get_linestyle() == "--"
    intervals = [sorted(line.get_ydata()) for line in axes.lines if len(set(line.get_xdata())) == 1]
    assert any(np.allclose(ends, [40, 60]) for ends in intervals)
    assert len(profile(LIGHT, panels=3).axes) == 4
