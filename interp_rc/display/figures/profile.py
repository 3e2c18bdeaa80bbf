"""A quantity layer by layer, with its intervals, in small panels."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from interp_rc.display.figures.style import WIDTH, Theme, marker
from interp_rc.records.numbers import Estimate

PANEL = 1.5
"""Inches."""


@dataclass(frozen=True, slots=True)
class Line:
    """One estimate a layer. `asked` (direction or order) gives colour and marker; a `faint` line
    is the comparison, drawn dashed and without intervals."""

    label: str
    asked: str
    estimates: Sequence[Estimate]
    faint: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """`chance` is drawn as a dotted line."""

    title: str
    lines: Sequence[Line]
    chance: float | None = None


def profile_figure(
    panels: Sequence[Panel],
    layers: Sequence[str],
    theme: Theme,
    *,
    quantity: str | Sequence[str],
    across: str = "layers read",
    scale: float = 1,
) -> Figure:
    """Panels two in a row; `scale` multiplies the values (100 for percent). With one `quantity` a
    row, only the panels of a row share their vertical axis. `across` names the horizontal one."""
    rows = -(-len(panels) // 2)
    one = isinstance(quantity, str)
    quantities = [quantity] * rows if isinstance(quantity, str) else quantity
    figure = Figure(figsize=(WIDTH, 0.75 + PANEL * rows))
    grid = figure.subplots(rows, 2, sharex=True, sharey=one or "row", squeeze=False)
    for axes, panel in zip(grid.flat, panels, strict=False):
        _draw_panel(axes, panel, layers, theme, scale)
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_visible(False)
    for axes, what in zip(grid[:, 0], quantities, strict=True):
        axes.set_ylabel(what)
    for axes in grid[-1]:
        axes.set_xlabel(across)
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=2, handlelength=2.2)
    return figure


def _draw_panel(
    axes: Axes, panel: Panel, layers: Sequence[str], theme: Theme, scale: float
) -> None:
    for number, line in enumerate(panel.lines):
        color = theme.color(line.asked)
        values = [nan if e.value is None else scale * e.value for e in line.estimates]
        if line.faint:
            axes.plot(values, color=color, linewidth=1.1, linestyle=(0, (4, 2)), label=line.label)
            continue
        axes.plot(values, marker(line.asked) + "-", color=color, markersize=4, label=line.label)
        shift = 0.08 * (number - len(panel.lines) / 2)  # intervals beside each other
        for x, estimate in enumerate(line.estimates):
            if estimate.low is not None and estimate.high is not None:
                ends = [scale * estimate.low, scale * estimate.high]
                axes.plot([x + shift] * 2, ends, color=color, linewidth=1.2, alpha=0.6)
    if panel.chance is not None:
        axes.axhline(scale * panel.chance, color=theme.ink, linewidth=1, linestyle=":")
    axes.set_title(panel.title)
    axes.set_xticks(range(len(layers)), layers)
    axes.grid(axis="y")
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
