"""Places x layers as cells, one map for each condition side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from interp_rc.display.figures.style import WIDTH, Theme

CELL = 0.21
"""Inches."""


@dataclass(frozen=True, slots=True)
class Map:
    """One condition. Cells that are `impossible` are greyed; NaN is not measured; `found` cells,
    whose effect is beyond chance, get a point."""

    title: str
    values: Float[np.ndarray, "row layer"]
    impossible: Bool[np.ndarray, "row layer"]
    found: Bool[np.ndarray, "row layer"]


@dataclass(frozen=True, slots=True)
class Rows:
    """A group of rows under one heading."""

    heading: str
    labels: Sequence[str]


def heatmap_figure(
    maps: Sequence[Map], groups: Sequence[Rows], theme: Theme, *, quantity: str
) -> Figure:
    """`quantity` names the colours, which run from -1 to 1 of it [%]."""
    rows = sum(len(group.labels) + 1 for group in groups)
    figure = Figure(figsize=(WIDTH, 1.25 + CELL * rows))
    scale = Normalize(-1, 1)
    colors = LinearSegmentedColormap.from_list(
        "effects", [theme.reverse, theme.paper, theme.same], N=255
    )
    all_axes = figure.subplots(1, len(maps), sharey=True, squeeze=False)[0]
    for axes, one in zip(all_axes, maps, strict=True):
        draw_map(axes, one, groups, theme, colors, scale)
    _label_rows(all_axes[0], groups)
    bar = figure.colorbar(
        ScalarMappable(scale, colors), ax=list(all_axes), location="bottom", aspect=40, pad=0.02
    )
    bar.set_ticks([-1, -0.5, 0, 0.5, 1], labels=["−100 %", "−50 %", "0", "50 %", "100 %"])
    bar.set_label(quantity)
    bar.outline.set_visible(False)
    return figure


def draw_map(
    axes: Axes,
    one: Map,
    groups: Sequence[Rows],
    theme: Theme,
    colors: LinearSegmentedColormap,
    scale: Normalize,
) -> None:
    """Cells of one condition, layer by layer from left to right."""
    layers = one.values.shape[1]
    for y, row in zip(_places(groups), range(len(one.values)), strict=True):
        for layer in range(layers):
            value = one.values[row, layer]
            impossible = bool(one.impossible[row, layer])
            color = theme.faint if impossible or np.isnan(value) else colors(scale(value))
            cell = Rectangle((layer - 0.45, y - 0.45), 0.9, 0.9, facecolor=color, linewidth=0.5)
            cell.set_edgecolor(theme.faint)
            axes.add_patch(cell)
            if one.found[row, layer] and not impossible:
                axes.plot(layer, y, ".", color=theme.ink, markersize=2.5)
    axes.set_xlim(-0.6, layers - 0.4)
    axes.set_ylim(max(_places(groups)) + 0.6, -1.4)
    axes.set_title(one.title)
    axes.set_xlabel("layer")
    step = max(1, layers // 6)
    axes.set_xticks(range(0, layers, step))
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def _label_rows(axes: Axes, groups: Sequence[Rows]) -> None:
    axes.set_yticks(_places(groups), [label for group in groups for label in group.labels])
    y = -1
    for group in groups:
        axes.annotate(
            group.heading,
            (0, y + 0.12),
            xycoords=("axes fraction", "data"),
            xytext=(-4, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            weight="bold",
            annotation_clip=False,
        )
        y += len(group.labels) + 1


def _places(groups: Sequence[Rows]) -> list[int]:
    places, y = [], 0
    for group in groups:
        places += list(range(y, y + len(group.labels)))
        y += len(group.labels) + 1
    return places
