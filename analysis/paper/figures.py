"""The page's drawings: maps over settings, rates, right against random, and curves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter

from interp_rc.display.figures.style import WIDTH, Theme, marker
from interp_rc.display.vocabulary import ASKED
from interp_rc.records.numbers import Estimate


def settings_map(
    maps: Mapping[str, pd.DataFrame], theme: Theme, *, rows: str, columns: str
) -> Figure:
    """Rates [%] as numbers in cells, one map below the other; `maps` by direction, fractions."""
    height = sum(0.62 + 0.3 * len(one) for one in maps.values())
    figure = Figure(figsize=(WIDTH, 0.35 + height))
    grid = figure.subplots(
        len(maps), 1, squeeze=False, height_ratios=[len(one) for one in maps.values()]
    )[:, 0]
    for axes, (asked, one) in zip(grid, maps.items(), strict=True):
        _draw_map(axes, one, theme, theme.color(asked))
        axes.set_title(ASKED[asked])
        axes.set_ylabel(rows)
    grid[-1].set_xlabel(columns)
    return figure


def _draw_map(axes: Axes, table: pd.DataFrame, theme: Theme, color: str) -> None:
    colors = LinearSegmentedColormap.from_list("rates", [theme.paper, color])
    scale = Normalize(0, 1)
    for y, (_, row) in enumerate(table.iterrows()):
        for x, value in enumerate(row):
            face = theme.faint if np.isnan(value) else colors(0.55 * scale(value))
            cell = Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=face, linewidth=0.8)
            cell.set_edgecolor(theme.faint)
            axes.add_patch(cell)
            said = "" if np.isnan(value) else f"{100 * value:.1f}"
            axes.text(x, y, said, ha="center", va="center", color=theme.ink)
    axes.set_xlim(-0.5, table.shape[1] - 0.5)
    axes.set_ylim(-0.5, len(table) - 0.5)
    axes.set_xticks(range(table.shape[1]), [f"{value:g}" for value in table.columns])
    axes.set_yticks(range(len(table)), [f"{value:g}" for value in table.index])
    _bare(axes)


@dataclass(frozen=True, slots=True)
class Dot:
    """One row: a label and a point for each direction."""

    label: str
    points: Mapping[str, Estimate]


def dots(panels: Mapping[str, Sequence[Dot]], theme: Theme, *, quantity: str) -> Figure:
    """Rates [%] with their intervals, a row a label, directions beside each other; panels by
    title, one below the other."""
    panels = {title: rows for title, rows in panels.items() if rows}
    wrapped = {title: [_wrapped(row.label) for row in rows] for title, rows in panels.items()}
    lines = max(label.count("\n") + 1 for labels in wrapped.values() for label in labels)
    heights = [0.3 + (0.18 + 0.16 * lines) * len(rows) for rows in panels.values()]
    figure = Figure(figsize=(WIDTH, 0.6 + sum(heights)))
    grid = figure.subplots(len(panels), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
    for axes, (title, rows) in zip(grid, panels.items(), strict=True):
        for y, row in enumerate(rows):
            for number, (asked, estimate) in enumerate(row.points.items()):
                at = y + 0.22 * (number - (len(row.points) - 1) / 2)
                _draw_dot(axes, at, asked, estimate, theme)
        axes.set_title(title)
        axes.set_yticks(range(len(rows)), wrapped[title])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlim(0, 100)
        axes.grid(axis="x")
        _bare(axes)
        axes.tick_params(axis="y", pad=9)
    grid[-1].set_xlabel(quantity)
    asked = dict.fromkeys(a for rows in panels.values() for row in rows for a in row.points)
    handles = [
        Line2D([], [], color=theme.color(a), marker=marker(a), linestyle="", markersize=5.5)
        for a in asked
    ]
    figure.legend(handles, [ASKED[a] for a in asked], loc="outside upper left", ncols=2)
    return figure


def _draw_dot(axes: Axes, at: float, asked: str, estimate: Estimate, theme: Theme) -> None:
    if estimate.value is None:
        return
    color = theme.color(asked)
    if estimate.low is not None and estimate.high is not None:
        ends = [100 * estimate.low, 100 * estimate.high]
        axes.plot(ends, [at, at], color=color, linewidth=2, solid_capstyle="butt")
    axes.plot(
        100 * estimate.value,
        at,
        marker(asked),
        color=color,
        markersize=5.5,
        clip_on=False,
        zorder=3,
    )


def _wrapped(label: str, width: int = 22, most: int = 3) -> str:
    """A label on a few short lines, so that it leaves room for what it labels."""
    lines = [line for part in label.split("\n") for line in wrap(part, width)]
    return "\n".join([*lines[: most - 1], lines[most - 1] + "…"] if len(lines) > most else lines)


def pairs(rows: Sequence[tuple[str, Estimate, Estimate]], theme: Theme) -> Figure:
    """Log-probability of the right target and of another one, joined, a row a model."""
    figure = Figure(figsize=(WIDTH, 0.95 + 0.25 * len(rows)))
    axes = figure.add_subplot()
    for y, (_, right, other) in enumerate(rows):
        values = [right.value, other.value]
        axes.plot(values, [y, y], color=theme.faint, linewidth=1.5, zorder=1)
        for estimate, shape, color in ((right, "o", theme.same), (other, "D", theme.muted)):
            if estimate.low is not None and estimate.high is not None:
                axes.plot(
                    [estimate.low, estimate.high], [y, y], color=color, linewidth=1.4, alpha=0.6
                )
            axes.plot(estimate.value, y, shape, color=color, markersize=5)
    for shape, color, label in (("o", theme.same, "right name"), ("D", theme.muted, "other name")):
        axes.plot([], [], shape, color=color, label=label)
    axes.set_yticks(range(len(rows)), [label for label, _, _ in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel("log-probability [nat]")
    axes.grid(axis="x")
    _bare(axes)
    figure.legend(loc="outside upper left", ncols=2)
    return figure


@dataclass(frozen=True, slots=True)
class SizeCurve:
    """Rates of models of several sizes (in parameters)."""

    label: str
    asked: str
    sizes: Sequence[float]
    rates: Sequence[Estimate]


def size_curves(lines: Sequence[SizeCurve], theme: Theme, *, x: str) -> Figure:
    """Rates [%] with their intervals against size, whose axis is logarithmic."""
    figure = Figure(figsize=(WIDTH, 2.4 + 0.2 * len(lines)))
    axes = figure.add_subplot()
    styles = ["-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (5, 2, 1, 2))]
    used: dict[str, int] = {}
    for line in lines:
        color = theme.color(line.asked)
        style = styles[used.get(line.asked, 0) % len(styles)]
        used[line.asked] = used.get(line.asked, 0) + 1
        axes.plot(
            line.sizes,
            [np.nan if e.value is None else 100 * e.value for e in line.rates],
            marker=marker(line.asked),
            linestyle=style,
            color=color,
            markersize=4,
            linewidth=1.4,
            label=line.label,
        )
        for at, e in zip(line.sizes, line.rates, strict=True):
            if e.low is not None and e.high is not None:
                ends = [100 * e.low, 100 * e.high]
                axes.plot([at, at], ends, color=color, linewidth=1.2, alpha=0.6)
    axes.set_xscale("log")
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))
    axes.set_xlabel(x)
    axes.set_ylabel("exact match [%]")
    axes.set_ylim(-3, 103)
    axes.grid(axis="y")
    _bare(axes)
    figure.legend(loc="outside upper left", handlelength=2.6)
    return figure


def _bare(axes: Axes) -> None:
    axes.tick_params(which="both", length=0)
    for side in axes.spines.values():
        side.set_visible(False)
