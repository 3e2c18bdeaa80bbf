"""Where the right candidate stands among all, as the share of queries up to each rank."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from interp_rc.display.figures.style import WIDTH, Theme
from interp_rc.display.vocabulary import Words


def ranks_figure(table: pd.DataFrame, theme: Theme, words: Words) -> Figure:
    """One panel per group, two beside each other.

    `table` has one row per query: `group`, `asked` (a direction or order), `rank` (1 is best)
    and `candidates` (how many there are).
    """
    groups = list(dict.fromkeys(table.group))
    rows, columns = (len(groups) + 1) // 2, min(len(groups), 2)
    figure = Figure(figsize=(WIDTH, 0.4 + 2.1 * rows))
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in panels[len(groups) :]:
        axes.remove()
    for axes, group in zip(panels, groups, strict=False):
        draw_ranks(axes, table[table.group == group], theme, words)
        axes.set_title(words.told(group).capitalize())
    handles = {h.get_label(): h for axes in panels for h in axes.get_lines()}
    figure.legend(handles=list(handles.values()), loc="outside upper left", ncols=3, borderpad=0)
    return figure


def draw_ranks(axes: Axes, table: pd.DataFrame, theme: Theme, words: Words) -> None:
    """Cumulative share of queries [%] for each direction, and the diagonal of pure chance."""
    n = int(table.candidates.max())
    ranks = np.arange(1, n + 1)
    for asked in dict.fromkeys(table.asked):
        share = _share_up_to(table[table.asked == asked]["rank"], ranks)
        axes.step(
            ranks,
            share,
            where="post",
            color=theme.color(asked),
            linewidth=2.2,
            linestyle="--" if asked == "backward" else "-",
            label=words.asked(asked),
            clip_on=False,
        )
    axes.step(
        ranks,
        100 * ranks / n,
        where="post",
        color=theme.muted,
        linewidth=1.2,
        linestyle=(0, (3, 2)),
        label="chance",
    )
    axes.set_xlim(1, max(n, 2))
    axes.set_xticks(_rank_ticks(n))
    axes.set_ylim(0, 100)
    axes.set_xlabel(f"rank of the right one\n[1 = best of {n}]")
    axes.set_ylabel("share of queries [%]")
    axes.grid(axis="y")


def _share_up_to(found: pd.Series, ranks: np.ndarray) -> Sequence[float]:
    return [100 * float((found <= rank).mean()) for rank in ranks]


def _rank_ticks(n: int) -> list[int]:
    return sorted({1, *range(10, n + 1, 10), n}) if n > 12 else list(range(1, n + 1, 1 + n // 7))
