"""A number over the settings of a sweep: lines over one axis, cells over two."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from interp_rc.display.figures.style import WIDTH, Theme, marker
from interp_rc.records.numbers import Estimate

CELL = 0.36
"""Inches."""
LONG = 24
"""Characters of all labels of an axis together that stand beside each other, or of a title."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One estimate a setting; `asked` gives colour and marker."""

    label: str
    asked: str
    estimates: Sequence[Estimate]


def curves_figure(
    curves: Sequence[Curve], settings: Sequence[str], theme: Theme, *, axis: str, quantity: str
) -> Figure:
    """Curves over the settings of one `axis`; rates run from 0 to 100 %."""
    figure = Figure(figsize=(WIDTH, 3.1))
    axes = figure.add_subplot()
    rate = all(e.unit == "fraction" for curve in curves for e in curve.estimates)
    scale = 100 if rate else 1
    for number, curve in enumerate(curves):
        places = np.arange(len(settings)) + 0.06 * (number - (len(curves) - 1) / 2)
        color = theme.color(curve.asked)
        values = [nan if e.value is None else scale * e.value for e in curve.estimates]
        axes.plot(
            places, values, marker(curve.asked) + "-", color=color, markersize=5, label=curve.label
        )
        for x, e in zip(places, curve.estimates, strict=True):
            if e.low is not None and e.high is not None:
                axes.plot([x, x], [scale * e.low, scale * e.high], color=color, linewidth=1.6)
    if rate:
        axes.set_ylim(-3, 103)
    _name_axis(axes, settings, axis)
    axes.set_ylabel(quantity)
    axes.grid(axis="y")
    _bare(axes)
    figure.legend(loc="outside upper left", ncols=2, handlelength=2.2)
    return figure


def _name_axis(axes: Axes, settings: Sequence[str], axis: str) -> None:
    slanted = sum(map(len, settings)) > LONG and max(map(len, settings)) > 3
    axes.set_xticks(
        range(len(settings)),
        settings,
        rotation=30 if slanted else 0,
        ha="right" if slanted else "center",
        rotation_mode="anchor",
    )
    axes.set_xlabel(axis)


def _bare(axes: Axes) -> None:
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)


@dataclass(frozen=True, slots=True)
class Grid:
    """One quantity over two axes; NaN where there is no number. `span` are the colours' ends."""

    title: str
    values: Float[np.ndarray, "row column"]
    span: tuple[float, float]
    digits: int = 0


def grids_figure(
    grids: Sequence[Grid],
    rows: Sequence[str],
    columns: Sequence[str],
    theme: Theme,
    *,
    axes_named: tuple[str, str],
) -> Figure:
    """Heat maps with their numbers in the cells, two beside each other; `axes_named` is (y, x)."""
    narrow = len(columns) <= 5 and all(len(grid.title) <= LONG for grid in grids)
    across = min(2, len(grids)) if narrow else 1
    down = -(-len(grids) // across)
    figure = Figure(figsize=(WIDTH, down * (0.85 + CELL * len(rows))))
    panels = figure.subplots(down, across, squeeze=False, sharey=True, sharex=True)
    for axes, grid in zip(panels.flat, grids, strict=False):
        _draw_grid(axes, grid, theme)
        axes.set_yticks(range(len(rows)), rows)
    for axes in list(panels.flat)[len(grids) :]:
        axes.set_visible(False)
    for axes in panels[-1]:
        _name_axis(axes, columns, axes_named[1])
    for axes in panels[:, 0]:
        axes.set_ylabel(axes_named[0])
    return figure


def _draw_grid(axes: Axes, grid: Grid, theme: Theme) -> None:
    colors = LinearSegmentedColormap.from_list("share", [theme.paper, theme.same], N=255)
    scale = Normalize(*grid.span)
    for (y, x), value in np.ndenumerate(grid.values):
        shade = theme.faint if isnan(value) else colors(scale(value))
        axes.add_patch(_cell(x, y, shade, theme))
        strong = not isnan(value) and scale(value) > 0.6
        axes.text(
            x,
            y,
            "–" if isnan(value) else f"{value:.{grid.digits}f}".replace("-", "−"),
            ha="center",
            va="center",
            color=_on_strong(theme) if strong else theme.ink,
        )
    height, width = grid.values.shape
    axes.set_xlim(-0.6, width - 0.4)
    axes.set_ylim(height - 0.4, -0.6)
    axes.set_title(grid.title)
    _bare(axes)


def _cell(x: int, y: int, shade: Any, theme: Theme) -> Rectangle:
    cell = Rectangle((x - 0.47, y - 0.47), 0.94, 0.94, facecolor=shade, linewidth=0.5)
    cell.set_edgecolor(theme.faint)
    return cell


def _on_strong(theme: Theme) -> str:
    return "#ffffff" if theme.name == "light" else theme.paper
