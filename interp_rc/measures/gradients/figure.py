"""Cosines between gradients, one row a group of parameters, one panel a model."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from interp_rc.display.figures.rates import ROW
from interp_rc.display.figures.style import WIDTH, Theme, marker
from interp_rc.records.numbers import Estimate


@dataclass(frozen=True, slots=True)
class Cosine:
    """One point. `asked` (`same`, `reverse`, or `both` for the control) gives its look."""

    panel: str
    row: str
    asked: str
    estimate: Estimate


SHIFT = {"same": 0.0, "reverse": -0.17, "both": 0.17}


def gradients_figure(cosines: Sequence[Cosine], theme: Theme, *, legend: dict[str, str]) -> Figure:
    """`legend` says what each `asked` is, in the order of the legend."""
    rows = list(dict.fromkeys(one.row for one in cosines))
    panels = list(dict.fromkeys(one.panel for one in cosines))
    figure = Figure(figsize=(WIDTH, 1.15 + ROW * (1.05 * len(rows) + len(legend))))
    axes = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
    for panel, place in zip(panels, axes, strict=True):
        draw_cosines(place, [one for one in cosines if one.panel == panel], rows, theme)
        place.set_title(panel)
    figure.supxlabel(
        "cosine, same fact less other facts\n(95 % interval over facts)", size="medium"
    )
    handles = [
        Line2D([], [], color=theme.color(asked), marker=marker(asked), linestyle="", label=label)
        for asked, label in legend.items()
    ]
    figure.legend(handles=handles, loc="outside upper left", borderpad=0, handletextpad=0.3)
    return figure


def draw_cosines(axes: Axes, cosines: Sequence[Cosine], rows: Sequence[str], theme: Theme) -> None:
    axes.axvline(0, color=theme.muted, linewidth=0.8)
    for one in cosines:
        _draw_point(axes, one, rows.index(one.row) + SHIFT[one.asked], theme)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_yticks(range(len(rows)), rows)
    axes.axhline(0.5, color=theme.faint, linewidth=0.8)  # the first row is all the others together
    axes.grid(axis="x")
    axes.set_xlim(left=min(axes.get_xlim()[0], -0.1), right=1)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.tick_params(length=0)
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_visible(False)


def _draw_point(axes: Axes, one: Cosine, y: float, theme: Theme) -> None:
    estimate = one.estimate
    if estimate.value is None:
        return
    color = theme.color(one.asked)
    if estimate.low is not None and estimate.high is not None:
        ends = [estimate.low, estimate.high]
        axes.plot(ends, [y, y], color=color, linewidth=1.8, solid_capstyle="butt")
    axes.plot(estimate.value, y, marker(one.asked), color=color, markersize=4, zorder=3)
