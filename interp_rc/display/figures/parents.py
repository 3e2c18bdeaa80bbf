"""How often models name the parent of a child, and the child of a parent.

As Figure 5 of Berglund et al. 2023 (arXiv:2309.12288).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from interp_rc.display.figures.rates import ROW, Rate, draw_rate
from interp_rc.display.figures.style import WIDTH, Theme, rate_axis
from interp_rc.records.numbers import Estimate

BY_CONSTRUCTION = "100 % by construction"
NAME, NOTE = 32, 40
"""Characters a line."""


@dataclass(frozen=True, slots=True)
class ModelRates:
    """Rates in [0, 1]: `parent` of parents named when asked about the child, None where the pairs
    were chosen by it; `child` of children named when asked about the parent."""

    model: str
    parent: Estimate | None
    child: Estimate
    note: str = ""


def parents_figure(
    rows: Sequence[ModelRates],
    theme: Theme,
    *,
    quantity: str = "named when asked about the other",
    over: str = "children",
) -> Figure:
    """Two bars a model, one below the other; intervals are `over` children, or as in `rate_axis`.
    `quantity` names the x axis [%]."""
    lines = sum(2.5 + 0.8 * len(_named(row)) + 0.8 * len(_noted(row)) for row in rows)
    figure = Figure(figsize=(WIDTH, 0.9 + ROW * lines))
    axes = figure.add_subplot()
    places: list[float] = []
    y = 0.0
    for row in rows:
        y = _draw_model(axes, row, y, theme, places)
    axes.set_ylim(y - 0.6, -0.6)
    axes.set_yticks(places, ["parent", "child"] * len(rows))
    axes.set_ylabel("who is asked for")
    rate_axis(axes, quantity, over=over)
    return figure


def _draw_model(axes: Axes, row: ModelRates, y: float, theme: Theme, places: list[float]) -> float:
    """Name, two bars and note from height `y` on; gives the height of the next model."""
    for line in _named(row):
        axes.text(0, y, line, weight="bold", va="center")
        y += 0.8
    y += 0.2
    places += [y, y + 1]
    if row.parent is None:
        axes.text(1, y, BY_CONSTRUCTION, va="center", color=theme.muted)
    else:
        draw_rate(axes, Rate(row.model, "parent", "same", row.parent), y, theme)
    draw_rate(axes, Rate(row.model, "child", "reverse", row.child), y + 1, theme)
    y += 1.9
    for line in _noted(row):
        axes.text(0, y, line, va="center", color=theme.muted)
        y += 0.8
    return y + 0.4


def _named(row: ModelRates) -> list[str]:
    return wrap(row.model, NAME) or [""]


def _noted(row: ModelRates) -> list[str]:
    return wrap(row.note, NOTE)
