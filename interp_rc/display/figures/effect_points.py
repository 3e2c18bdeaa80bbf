"""Effects with their intervals, one row a thing asked, two or more interventions side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from interp_rc.display.figures.rates import ROW
from interp_rc.display.figures.style import WIDTH, Theme, marker
from interp_rc.records.numbers import Estimate


@dataclass(frozen=True, slots=True)
class Point:
    """One effect. `look` (`same`, `reverse` or `both`) gives its colour and marker."""

    panel: str
    row: str
    look: str
    estimate: Estimate


def effect_points_figure(
    points: Sequence[Point],
    theme: Theme,
    *,
    quantity: str,
    legend: Mapping[str, str],
    line: float | None = None,
) -> Figure:
    """Panels beside each other over the same rows; `legend` says what each look is. A `line` is
    drawn dotted."""
    rows = list(dict.fromkeys(one.row for one in points))
    panels = list(dict.fromkeys(one.panel for one in points))
    figure = Figure(figsize=(WIDTH, 1.0 + ROW * (1.5 * len(rows) + len(legend))))
    grid = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
    for panel, axes in zip(panels, grid, strict=True):
        _draw_panel(axes, [one for one in points if one.panel == panel], rows, theme, list(legend))
        axes.set_title(panel)
        if line is not None:
            axes.axvline(line, color=theme.ink, linewidth=1, linestyle=":")
    figure.supxlabel(f"{quantity}\n(95 % interval over facts)", size="medium")
    handles = [
        Line2D([], [], color=theme.color(look), marker=marker(look), linestyle="", label=label)
        for look, label in legend.items()
    ]
    figure.legend(handles=handles, loc="outside upper left", borderpad=0, handletextpad=0.3)
    return figure


def _draw_panel(
    axes: Axes, points: Sequence[Point], rows: Sequence[str], theme: Theme, looks: Sequence[str]
) -> None:
    axes.axvline(0, color=theme.muted, linewidth=0.8)
    for one in points:
        shift = 0.26 * (looks.index(one.look) - (len(looks) - 1) / 2)
        y, color, estimate = rows.index(one.row) + shift, theme.color(one.look), one.estimate
        if estimate.low is not None and estimate.high is not None:
            ends = [estimate.low, estimate.high]
            axes.plot(ends, [y, y], color=color, linewidth=1.8, solid_capstyle="butt")
        if estimate.value is not None:
            axes.plot(estimate.value, y, marker(one.look), color=color, markersize=4.5, zorder=3)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_yticks(range(len(rows)), rows)
    axes.grid(axis="x")
    axes.tick_params(length=0)
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_visible(False)
