"""An effect against how many neurons were changed, with bands of 95 % intervals, in panels."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from interp_rc.figures.style import WIDTH, Theme, marker
from interp_rc.records.numbers import Estimate

PANEL = 2.0
"""Inches."""


@dataclass(frozen=True, slots=True)
class NeuronCurve:
    """One estimate a number of neurons. `asked` (direction or order) gives colour and marker; a
    `drawn` curve is of neurons at random, and dashed."""

    label: str
    asked: str
    ks: Sequence[int]
    estimates: Sequence[Estimate]
    drawn: bool = False


@dataclass(frozen=True, slots=True)
class NeuronPanel:
    title: str
    curves: Sequence[NeuronCurve]


def neuron_figure(panels: Sequence[NeuronPanel], theme: Theme, *, quantity: str) -> Figure:
    """Panels two in a row; each row shares its vertical axis, `quantity` is its name."""
    rows = -(-len(panels) // 2)
    figure = Figure(figsize=(WIDTH, 0.95 + PANEL * rows))
    grid = figure.subplots(rows, 2, sharex=True, sharey="row", squeeze=False)
    for axes, panel in zip(grid.flat, panels, strict=False):
        _draw_panel(axes, panel, theme)
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel(quantity)
    for axes in grid[-1]:
        axes.set_xlabel("neurons")
    handles = {
        label: handle
        for axes in grid.flat
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles, loc="outside upper left", ncols=2, handlelength=2.4)
    return figure


def _draw_panel(axes: Axes, panel: NeuronPanel, theme: Theme) -> None:
    for curve in panel.curves:
        color = theme.color(curve.asked)
        low, high = (
            [nan if bound is None else bound for bound in bounds]
            for bounds in zip(*((one.low, one.high) for one in curve.estimates), strict=True)
        )
        axes.fill_between(curve.ks, low, high, color=color, alpha=0.15, linewidth=0)
        axes.plot(
            curve.ks,
            [nan if one.value is None else one.value for one in curve.estimates],
            color=color,
            linestyle=(0, (3, 2)) if curve.drawn else "-",
            linewidth=1.2 if curve.drawn else 1.6,
            marker="" if curve.drawn else marker(curve.asked),
            markersize=4,
            label=curve.label,
        )
    ticks = panel.curves[0].ks[::3] if panel.curves else []
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [f"{k:,}" for k in ticks])
    axes.minorticks_off()
    axes.axhline(0, color=theme.muted, linewidth=0.8)
    axes.set_title(panel.title)
    axes.grid(axis="y")
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
