"""A quantity over the epochs of a training, with bands of 95 % intervals, in small panels."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from interp_rc.figures.style import WIDTH, Theme, marker
from interp_rc.records.numbers import Estimate

PANEL = 1.9
"""Inches."""
MARKERS = 12
"""On one curve at most; more would run into each other."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One estimate an epoch. `asked` (direction or order) gives colour and marker; a `shuffled`
    curve is the control, drawn dashed."""

    label: str
    asked: str
    epochs: Sequence[float]
    estimates: Sequence[Estimate]
    shuffled: bool = False


@dataclass(frozen=True, slots=True)
class CurvePanel:
    """Panels do not share their vertical axis: long targets have large losses."""

    title: str
    curves: Sequence[Curve]


def curves_figure(panels: Sequence[CurvePanel], theme: Theme, *, quantity: str) -> Figure:
    """Panels two in a row, a single one over the whole width; `quantity` names the y axis."""
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(WIDTH, 0.95 + PANEL * rows))
    grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
    for number, (axes, panel) in enumerate(zip(grid.flat, panels, strict=False)):
        _draw_panel(axes, panel, theme)
        if number % columns == 0:
            axes.set_ylabel(quantity)
        if number + columns >= len(panels):  # nothing stands below
            axes.set_xlabel("epochs of training")
            axes.tick_params(labelbottom=True)
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_visible(False)
    handles = {
        label: handle
        for axes in grid.flat
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles, loc="outside upper left", ncols=2, handlelength=2.4)
    return figure


def _draw_panel(axes: Axes, panel: CurvePanel, theme: Theme) -> None:
    for curve in panel.curves:
        color = theme.ink if curve.shuffled else theme.color(curve.asked)
        low, high = (
            [nan if bound is None else bound for bound in bounds]
            for bounds in zip(*((one.low, one.high) for one in curve.estimates), strict=True)
        )
        axes.fill_between(curve.epochs, low, high, color=color, alpha=0.15, linewidth=0)
        axes.plot(
            curve.epochs,
            [nan if one.value is None else one.value for one in curve.estimates],
            color=color,
            linestyle=(0, (3, 2)) if curve.shuffled else "-",
            linewidth=1.2 if curve.shuffled else 1.6,
            marker="" if curve.shuffled else marker(curve.asked),
            markersize=4.5,
            markevery=-(-len(curve.epochs) // MARKERS),
            markerfacecolor=theme.paper if curve.asked == "backward" else color,
            zorder=3 if curve.shuffled else 2,
            label=curve.label,
        )
    axes.set_title(panel.title)
    axes.set_ylim(bottom=0)
    axes.grid(axis="y")
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
