"""Likelihood of the right target against the other candidates, as two distributions over facts."""

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from interp_rc.display.figures.style import WIDTH, Theme
from interp_rc.display.vocabulary import Words

BINS = 18


def likelihood_figure(table: pd.DataFrame, theme: Theme, words: Words, *, quantity: str) -> Figure:
    """One column per group, one row per direction; more than two groups are rows instead.

    `table` has one row per fact and direction: `group`, `asked` (a direction or order), `right`
    and `others` (mean over the other candidates), both in nats. `quantity` names the x axis.
    """
    groups = list(dict.fromkeys(table.group))
    most = int(table.groupby("group").asked.nunique().max())
    across = len(groups) <= 2
    shape = (most, len(groups)) if across else (len(groups), most)
    figure = Figure(figsize=(WIDTH, 0.75 + 1.55 * shape[0]))
    grid = figure.subplots(*shape, squeeze=False, sharex="col" if across else "row")
    grid = grid if across else grid.T
    for column, group in enumerate(groups):
        part = table[table.group == group]
        asked = list(dict.fromkeys(part.asked))
        edges = shared_edges(part[["right", "others"]].to_numpy())
        for row in range(most):
            if row >= len(asked):
                grid[row, column].set_visible(False)
                continue
            cell = part[part.asked == asked[row]]
            axes = grid[row, column]
            draw_likelihood(axes, cell, theme, asked=asked[row], edges=edges, quantity=quantity)
            order = _asked(words, asked[row])
            axes.set_title(f"{words.told(group).capitalize()},\nasked {order}")
    _legend(figure, grid[0, 0], theme)
    return figure


def _asked(words: Words, asked: str) -> str:
    return f"in the {words.asked(asked)}" if asked == "same" else words.asked(asked)


def shared_edges(values: Float[np.ndarray, "fact 2"]) -> Float[np.ndarray, " edge"]:
    """Bin edges in nats that hold all values; of width 1 nat around a single value."""
    return np.histogram_bin_edges(values, bins=BINS)


def draw_likelihood(
    axes: Axes,
    table: pd.DataFrame,
    theme: Theme,
    *,
    asked: str,
    edges: Float[np.ndarray, " edge"],
    quantity: str,
) -> None:
    """Two histograms over facts: the right target filled, the other candidates outlined."""
    axes.hist(table.right, edges.tolist(), color=theme.color(asked), alpha=0.65, linewidth=0)
    counts, _ = np.histogram(table.others, edges)
    held = slice(np.flatnonzero(counts)[0], np.flatnonzero(counts)[-1] + 1)  # no line along zero
    axes.stairs(counts[held], edges[held.start : held.stop + 1], color=theme.ink, linewidth=1.4)
    axes.set_xlabel(f"{quantity} [nat]")
    axes.set_ylabel("facts [count]")
    axes.tick_params(labelbottom=True)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))


def _legend(figure: Figure, axes: Axes, theme: Theme) -> None:
    handles = [
        Patch(facecolor=theme.muted, alpha=0.65, label="right target"),
        Patch(facecolor="none", edgecolor=theme.ink, label="other candidates (mean)"),
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=2, borderpad=0)
