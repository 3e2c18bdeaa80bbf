"""How figures look: two themes, colours that colour-blind readers can tell apart, legible type."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes

from interp_rc.records.numbers import Estimate

WIDTH = 4.4
"""Inches; on a phone a figure of this width is shown at about four fifths of its size."""
TEXT = 9.5
"""Points."""


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours by role. `same` and `reverse` are never told apart by colour alone."""

    name: str
    ink: str
    muted: str
    faint: str
    paper: str
    same: str
    reverse: str
    control: str

    def color(self, asked: str) -> str:
        """The colour of a direction; orders of facts told in both are the control."""
        return {"same": self.same, "reverse": self.reverse}.get(asked, self.control)


# Okabe & Ito (2008), "Color universal design": blue, vermilion and bluish green on paper; on a
# dark page their lighter neighbours sky blue and orange.
LIGHT = Theme(
    name="light",
    ink="#1f2328",
    muted="#68707a",
    faint="#d9dde2",
    paper="#ffffff",
    same="#0072b2",
    reverse="#d55e00",
    control="#00825f",
)
DARK = Theme(
    name="dark",
    ink="#e8e6e3",
    muted="#9aa2ab",
    faint="#3a4048",
    paper="#16181b",
    same="#56b4e9",
    reverse="#f0933a",
    control="#3cc39a",
)

MARKERS = {"same": "o", "reverse": "D"}


def marker(asked: str) -> str:
    return MARKERS.get(asked, "s")


def rate_axis(axes: Axes, quantity: str, *, top: float = 100, over: str = "facts") -> None:
    """Rates of rows, from 0 to `top` percent, under nothing but a grid; intervals are `over`
    facts, children, or nothing where there is none."""
    axes.set_xlim(0, top)
    axes.set_xlabel(f"{quantity} [%]" + (f"\n(95 % interval over {over})" if over else ""))
    axes.grid(axis="x")
    axes.tick_params(length=0)
    axes.tick_params(axis="y", pad=9)
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_visible(False)


def rate_interval(axes: Axes, estimate: Estimate, y: float, color: str) -> None:
    """The 95 % interval of a rate as a line at height `y`, if it has one."""
    if estimate.low is not None and estimate.high is not None:
        ends = [100 * estimate.low, 100 * estimate.high]
        axes.plot(ends, [y, y], color=color, linewidth=2.2, solid_capstyle="butt", clip_on=False)


def rate_beside(axes: Axes, text: str, y: float, color: str, weight: str = "bold") -> None:
    """A rate in words to the right of its row."""
    axes.annotate(
        text,
        (1, y),
        xycoords=("axes fraction", "data"),
        xytext=(46, 0),
        textcoords="offset points",
        ha="right",
        va="center",
        color=color,
        weight=weight,
        annotation_clip=False,
    )


@contextmanager
def styled(theme: Theme) -> Iterator[None]:
    """Settings for figures that are made and saved inside; the caller's come back afterwards."""
    settings: dict[Any, Any] = {
        "font.family": "DejaVu Sans",
        "font.size": TEXT,
        "axes.titlesize": TEXT,
        "axes.labelsize": TEXT,
        "xtick.labelsize": TEXT,
        "ytick.labelsize": TEXT,
        "legend.fontsize": TEXT,
        "text.color": theme.ink,
        "axes.labelcolor": theme.ink,
        "axes.titlecolor": theme.ink,
        "axes.titlelocation": "left",
        "axes.edgecolor": theme.muted,
        "axes.linewidth": 0.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.facecolor": "none",
        "figure.facecolor": "none",
        "xtick.color": theme.muted,
        "ytick.color": theme.muted,
        "xtick.labelcolor": theme.ink,
        "ytick.labelcolor": theme.ink,
        "grid.color": theme.faint,
        "grid.linewidth": 0.8,
        "axes.axisbelow": True,
        "hatch.linewidth": 0.5,
        "legend.frameon": False,
        "figure.constrained_layout.use": True,
        "svg.fonttype": "none",
        "svg.hashsalt": "interp-rc",
    }
    with matplotlib.rc_context(settings):
        yield
