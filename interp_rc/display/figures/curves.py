"""A quantity over the epochs of a training, or over numbers of neurons, in small panels, with bands
of 95 % intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from interp_rc.display.figures.style import WIDTH, Theme, marker
from interp_rc.records.numbers import Estimate

PANEL = 1.9
"""Inches."""
MARKERS = 12
"""On one curve at most; more would run into each other."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One estimate at each of `xs`. `asked` (direction or order) gives colour and marker; a
    `control` curve is drawn dashed."""

    label: str
    asked: str
    xs: Sequence[float]
    estimates: Sequence[Estimate]
    control: bool = False


@dataclass(frozen=True, slots=True)
class CurvePanel:
    title: str
    curves: Sequence[Curve]


def curves_figure(
    panels: Sequence[CurvePanel],
    theme: Theme,
    *,
    quantity: str,
    across: str = "epochs of training",
    doubling: bool = False,
) -> Figure:
    """Panels two in a row, a single one over the whole width; `quantity` names the y axis.

    Panels have a vertical axis each, from zero: long targets have large losses. With xs that are
    `doubling`, the horizontal axis is logarithmic and panels of a row share the vertical one, on
    which zero is marked.
    """
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(WIDTH, 0.95 + PANEL * rows))
    shared: Literal["row", "none"] = "row" if doubling else "none"
    grid = figure.subplots(rows, columns, sharex=True, sharey=shared, squeeze=False)
    for number, (axes, panel) in enumerate(zip(grid.flat, panels, strict=False)):
        _draw_panel(axes, panel, theme)
        if doubling:
            _doubled(axes, panel, theme)
        else:
            axes.set_ylim(bottom=0)
        if number % columns == 0:
            axes.set_ylabel(quantity)
        if number + columns >= len(panels):  # nothing stands below
            axes.set_xlabel(across)
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
        color = theme.ink if curve.control else theme.color(curve.asked)
        low, high = (
            [nan if bound is None else bound for bound in bounds]
            for bounds in zip(*((one.low, one.high) for one in curve.estimates), strict=True)
        )
        axes.fill_between(curve.xs, low, high, color=color, alpha=0.15, linewidth=0)
        axes.plot(
            curve.xs,
            [nan if one.value is None else one.value for one in curve.estimates],
            color=color,
            linestyle=(0, (3, 2)) if curve.control else "-",
            linewidth=1.2 if curve.control else 1.6,
            marker="" if curve.control else marker(curve.asked),
            markersize=4.5,
            markevery=-(-len(curve.xs) // MARKERS),
            markerfacecolor=theme.paper if curve.asked == "backward" else color,
            zorder=3 if curve.control else 2,
            label=curve.label,
        )
    axes.set_title(panel.title)
    axes.grid(axis="y")
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def _doubled(axes: Axes, panel: CurvePanel, theme: Theme) -> None:
    ticks = panel.curves[0].xs[::3] if panel.curves else []
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [f"{x:,}" for x in ticks])
    axes.minorticks_off()
    axes.axhline(0, color=theme.muted, linewidth=0.8)
