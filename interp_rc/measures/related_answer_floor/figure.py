"""An accuracy beside what it would be by chance, one row each."""

from collections.abc import Sequence
from dataclasses import dataclass

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

ROW = 0.3
"""Inches."""
LIMITS = (10, 25, 50, 100)
"""Percent: the axis ends at the first that holds everything."""


@dataclass(frozen=True, slots=True)
class Level:
    """One row; `asked` is the direction of the model's own row, None for a floor."""

    label: str
    estimate: Estimate
    asked: str | None = None


def floors_figure(levels: Sequence[Level], theme: Theme, *, quantity: str) -> Figure:
    """Points with 95 % intervals; the model's in the colour of its direction, floors grey."""
    figure = Figure(figsize=(WIDTH, 0.85 + ROW * len(levels)))
    axes = figure.add_subplot()
    for y, level in enumerate(levels):
        _draw_level(figure, level, y, theme)
    axes.set_yticks(range(len(levels)), [level.label for level in levels])
    axes.set_ylabel("answer of")
    axes.set_ylim(len(levels) - 0.4, -0.6)
    most = max(100 * (one.estimate.high or one.estimate.value or 0) for one in levels)
    rate_axis(axes, quantity, top=next(limit for limit in LIMITS if most <= limit))
    return figure


def _draw_level(figure: Figure, level: Level, y: int, theme: Theme) -> None:
    (axes,) = figure.axes
    estimate = level.estimate
    color = theme.muted if level.asked is None else theme.color(level.asked)
    if estimate.value is None:
        axes.annotate("not measured", (0, y), color=theme.muted, va="center")
        return
    value = 100 * estimate.value
    rate_interval(axes, estimate, y, color)
    mark = "|" if level.asked is None else marker(level.asked)
    size = 12 if level.asked is None else 5.5
    axes.plot(value, y, mark, color=color, markersize=size, markeredgewidth=2.2 if level.asked is
              None else 1, clip_on=False, zorder=3)  # fmt: skip
    weight = "bold" if level.asked else "normal"
    rate_beside(axes, f"{value:.1f} %", y, theme.ink, weight)
