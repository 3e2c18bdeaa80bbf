"""A figure as files: SVG and PNG for a light page, SVG for a dark one."""

import io
from collections.abc import Callable
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from interp_rc.figures.style import DARK, LIGHT, Theme, styled
from interp_rc.records.files import replacing, write_text

DPI = 200
# Text stays text, in the reader's own sans serif: all are narrower than the one measured with.
FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans'"

Draw = Callable[[Theme], Figure]


def save_figure(draw: Draw, folder: Path, name: str) -> list[Path]:
    """Write ``<name>.svg``, ``<name>.dark.svg`` (both transparent) and ``<name>.png`` (white).

    The same drawing gives the same bytes with the same matplotlib.
    """
    files = [folder / f"{name}.svg", folder / f"{name}.dark.svg", folder / f"{name}.png"]
    with styled(DARK):
        write_text(files[1], svg(draw(DARK)))
    with styled(LIGHT):
        figure = draw(LIGHT)
        write_text(files[0], svg(figure))
        FigureCanvasAgg(figure)
        with replacing(files[2]) as temporary:
            figure.savefig(temporary, format="png", dpi=DPI, facecolor="white")
    return files


def svg(figure: Figure) -> str:
    """The figure as SVG text without a date."""
    FigureCanvasSVG(figure)
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    return out.getvalue().replace("'DejaVu Sans'", FONTS)
