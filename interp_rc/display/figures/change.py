"""Rates before and after finetuning, one row each: what was forgotten."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from interp_rc.display.figures.rates import ROW
from interp_rc.display.figures.style import WIDTH, Theme, marker, rate_axis, rate_interval
from interp_rc.records.numbers import Estimate


@dataclass(frozen=True, slots=True)
class Change:
    """One row: the same facts asked of the base and of the finetuned model."""

    group: str
    label: str
    asked: str
    before: Estimate
    after: Estimate


def change_figure(changes: Sequence[Change], theme: Theme, *, quantity: str) -> Figure:
    groups = len({change.group for change in changes})
    figure = Figure(figsize=(WIDTH, 1.15 + ROW * (1.3 * len(changes) + 1.25 * groups)))
    draw_changes(figure.add_subplot(), changes, theme, quantity=quantity)
    handles = [
        Line2D([], [], marker="o", color=theme.ink, markerfacecolor="none", label="base model"),
        Line2D([], [], marker="o", color=theme.ink, label="finetuned"),
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=2, borderpad=0)
    return figure


def draw_changes(axes: Axes, changes: Sequence[Change], theme: Theme, *, quantity: str) -> None:
    """Hollow before, filled after, each with its 95 % interval; `quantity` names the x axis."""
    places: list[float] = []
    y = 0.0
    for group, members in groupby(changes, lambda change: change.group):
        axes.text(0, y, group[:1].upper() + group[1:], weight="bold", va="center")
        for change in members:
            y += 1.25
            places.append(y)
            _draw_link(axes, change, y, theme)
            _draw_point(axes, change.before, y - 0.24, theme, change.asked, filled=False)
            _draw_point(axes, change.after, y + 0.24, theme, change.asked, filled=True)
        y += 1.4
    axes.set_ylim(y - 0.6, -0.6)
    axes.set_yticks(places, [change.label for change in changes])
    axes.set_ylabel("order asked in")
    rate_axis(axes, quantity)


def _draw_link(axes: Axes, change: Change, y: float, theme: Theme) -> None:
    if change.before.value is not None and change.after.value is not None:
        ends = [100 * change.before.value, 100 * change.after.value]
        axes.plot(ends, [y - 0.24, y + 0.24], color=theme.muted, linewidth=0.8)


def _draw_point(
    axes: Axes, estimate: Estimate, y: float, theme: Theme, asked: str, *, filled: bool
) -> None:
    if estimate.value is None:
        return
    color = theme.color(asked)
    rate_interval(axes, estimate, y, color)
    axes.plot(
        100 * estimate.value,
        y,
        marker(asked),
        color=color,
        markerfacecolor=color if filled else theme.paper,
        markersize=5.5,
        clip_on=False,
        zorder=3,
    )
