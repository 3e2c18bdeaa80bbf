"""Rates with their intervals, one row each, in groups: exact match, accuracy among candidates."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from interp_rc.display.figures.style import (
    WIDTH,
    Theme,
    marker,
    rate_axis,
    rate_beside,
    rate_interval,
)
from interp_rc.records.numbers import Estimate

ROW = 0.27
"""Inches."""


@dataclass(frozen=True, slots=True)
class Rate:
    """One row. `asked` is a direction or order and gives colour and marker; `chance` in [0, 1]."""

    group: str
    label: str
    asked: str
    estimate: Estimate
    chance: float | None = None


def rates_figure(
    rates: Sequence[Rate],
    theme: Theme,
    *,
    quantity: str,
    rows: str = "order asked in",
    over: str = "facts",
) -> Figure:
    """`rows` says what tells the rows of a group apart, `over` what the intervals are over."""
    groups = len({rate.group for rate in rates})
    height = 0.9 + ROW * (len(rates) + 1.25 * groups)
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.add_subplot()
    draw_rates(axes, rates, theme)
    axes.set_ylabel(rows)
    rate_axis(axes, quantity, over=over)
    return figure


def draw_rates(axes: Axes, rates: Sequence[Rate], theme: Theme) -> None:
    """A bar, a point and a 95 % interval for each rate."""
    places: list[float] = []
    y = 0.0
    for group, members in groupby(rates, lambda rate: rate.group):
        rows = list(members)
        axes.text(0, y, group[:1].upper() + group[1:], weight="bold", va="center")
        for offset, rate in enumerate(rows, 1):
            places.append(y + offset)
            draw_rate(axes, rate, y + offset, theme)
        _draw_chance(axes, rows, y, theme)
        y += len(rows) + 1.25
    axes.set_ylim(y - 0.5, -0.6)
    axes.set_yticks(places, [rate.label for rate in rates])


def draw_rate(axes: Axes, rate: Rate, y: float, theme: Theme) -> None:
    """One row at height `y`: a bar, a point, the interval, and the rate in words."""
    estimate, color = rate.estimate, theme.color(rate.asked)
    if estimate.value is None:
        axes.annotate("not measured", (0, y), color=theme.muted, va="center")
        return
    value = 100 * estimate.value
    axes.barh(y, value, height=0.62, color=color, alpha=0.22, linewidth=0)
    rate_interval(axes, estimate, y, color)
    axes.plot(value, y, marker(rate.asked), color=color, markersize=5.5, clip_on=False, zorder=3)
    said = f"{value:.0f} %" if value in (0, 100) else f"{value:.1f} %"
    rate_beside(axes, said, y, color)


def _draw_chance(axes: Axes, rows: Sequence[Rate], y: float, theme: Theme) -> None:
    chance = rows[0].chance
    if chance is not None:
        ends = [y + 0.45, y + len(rows) + 0.55]
        axes.plot([100 * chance] * 2, ends, color=theme.ink, linewidth=1.2, linestyle=(0, (3, 2)))
