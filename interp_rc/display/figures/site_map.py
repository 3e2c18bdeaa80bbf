"""Maps of a network: layers x places (or heads) as cells, a panel for each component."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PatchCollection
from matplotlib.colors import LinearSegmentedColormap, ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from interp_rc.display.figures.style import LIGHT, Theme, styled

CELL = 0.19
"""Inches."""
ACROSS = 3
SHOWN = 120
"""Dots an inch, in a notebook."""
LETTER = 0.075
"""Inches of a letter, with room to spare."""
WIDEST = 2.6
"""Inches of a panel: the cells of deep networks are narrower."""
HATCH = "////"
IMPOSSIBLE = "no effect possible"


@dataclass(frozen=True, slots=True)
class Grid:
    """One panel; a null layer is none. NaN is not measured; `impossible` cells are greyed, `masked`
    ones hatched."""

    title: str
    labels: Sequence[str]
    layers: Sequence[int | None]
    values: Float[np.ndarray, "row layer"]
    impossible: Bool[np.ndarray, "row layer"]
    masked: Bool[np.ndarray, "row layer"]


class Shown(Figure):
    """A figure that notebooks show, although pyplot knows nothing of it."""

    def _repr_png_(self) -> bytes:
        FigureCanvasAgg(self)
        out = io.BytesIO()
        with styled(LIGHT):
            self.savefig(out, format="png", dpi=SHOWN, facecolor="white")
        return out.getvalue()


def site_map_figure(
    grids: Sequence[Grid], theme: Theme, *, quantity: str, limit: float, masked: str
) -> Figure:
    """Colours run from -limit to limit of `quantity`; `masked` says what hatching means."""
    across = min(ACROSS, len(grids))
    down = -(-len(grids) // across)
    tall = max(len(grid.labels) for grid in grids)
    wide = max(len(grid.layers) for grid in grids)
    longest = max(len(label) for grid in grids for label in grid.labels)
    title = max(len(grid.title) for grid in grids)
    labelled = max(
        sum(_is_named(grids, number) for number in range(begin, min(begin + across, len(grids))))
        for begin in range(0, len(grids), across)
    )
    panel = max(min(WIDEST, max(1.2, CELL * wide + 0.25)), LETTER * title)
    figure = Shown(
        figsize=(
            max(4.4, 0.4 + LETTER * longest * labelled + across * panel),
            1.1 + down * (0.65 + CELL * max(3, tall)),
        ),
        facecolor=theme.paper,
    )
    colors = LinearSegmentedColormap.from_list(
        "effects", [theme.reverse, theme.paper, theme.same], N=255
    )
    scale = Normalize(-limit, limit)
    all_axes = figure.subplots(down, across, squeeze=False)
    for number, axes in enumerate(all_axes.flat):
        if number >= len(grids):
            axes.set_axis_off()
            continue
        grid = grids[number]
        draw_grid(axes, grid, theme, colors, scale, named=_is_named(grids, number))
    beyond = any(np.nanmax(np.abs(g.values), initial=0.0) > limit * (1 + 1e-9) for g in grids)
    bar = figure.colorbar(
        ScalarMappable(scale, colors),
        ax=list(all_axes.flat),
        location="bottom",
        fraction=0.06,
        aspect=40,
        pad=0.02,
        extend="both" if beyond else "neither",
    )
    bar.set_label(quantity)
    bar.outline.set_visible(False)
    _explain(figure, grids, theme, masked)
    return figure


def _is_named(grids: Sequence[Grid], number: int) -> bool:
    """Whether a panel's rows need names: its left neighbour has none, or others."""
    first = number % min(ACROSS, len(grids)) == 0
    return first or grids[number].labels != grids[number - 1].labels


def draw_grid(
    axes: Axes,
    grid: Grid,
    theme: Theme,
    colors: LinearSegmentedColormap,
    scale: Normalize,
    *,
    named: bool,
) -> None:
    """Cells of one panel, rows from the top down; `named` writes what the rows are."""
    rows, layers = grid.values.shape
    shown = np.ma.masked_where(grid.impossible | np.isnan(grid.values), grid.values)
    axes.pcolormesh(shown, cmap=colors, norm=scale, edgecolors=theme.faint, linewidth=0.4)
    grey = np.ma.masked_where(~grid.impossible, np.ones_like(grid.values))
    axes.pcolormesh(grey, cmap=ListedColormap([theme.faint]), edgecolors=theme.faint, linewidth=0.4)
    cells = [Rectangle((x, y), 1, 1) for y, x in zip(*np.nonzero(_hatched(grid)), strict=True)]
    axes.add_collection(
        PatchCollection(cells, facecolor="none", edgecolor=theme.muted, hatch=HATCH, linewidth=0.0)
    )
    axes.set_xlim(0, layers)
    axes.set_ylim(rows, 0)
    axes.set_title(grid.title)
    axes.set_xlabel("layer")
    step = -(-layers // 8)
    ticks = ["none" if layer is None else str(layer) for layer in grid.layers]
    axes.set_xticks(np.arange(0, layers, step) + 0.5, ticks[::step])
    axes.set_yticks(np.arange(rows) + 0.5, grid.labels if named else [""] * rows)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def _hatched(grid: Grid) -> Bool[np.ndarray, "row layer"]:
    return grid.masked & ~grid.impossible & ~np.isnan(grid.values)


def _explain(figure: Figure, grids: Sequence[Grid], theme: Theme, masked: str) -> None:
    """What grey and hatched cells mean, if there are any."""
    handles = []
    if any(_hatched(grid).any() for grid in grids):
        handles.append(
            Patch(facecolor="none", edgecolor=theme.muted, hatch=HATCH, linewidth=0, label=masked)
        )
    if any(grid.impossible.any() for grid in grids):
        handles.append(Patch(facecolor=theme.faint, label=IMPOSSIBLE))
    if handles:
        figure.legend(handles=handles, loc="outside lower left", ncols=2, handlelength=1.2)
