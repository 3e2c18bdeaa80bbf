"""A figure as files: SVG and PNG for a light page, SVG for a dark one."""

import io
from collections.abc import Callable
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from interp_rc.display.figures.style import DARK, LIGHT, Theme, styled
from interp_rc.records.errors import ConfigError
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
        save_as(figure, files[0])
        save_as(figure, files[2])
    return files


def check_figure_file(file: Path) -> None:
    """Raises ConfigError unless the file's ending is one that `save_as` writes."""
    if file.suffix.lower() not in (".svg", ".png"):
        raise ConfigError(f"{file} is neither .svg nor .png; end the figure's name with one")


def save_as(figure: Figure, file: Path) -> None:
    """Write a figure as SVG (transparent) or PNG (white), as the file's ending says.

    Raises ConfigError for another ending.
    """
    check_figure_file(file)
    with styled(LIGHT):
        if file.suffix.lower() == ".svg":
            write_text(file, svg(figure))
            return
        FigureCanvasAgg(figure)
        with replacing(file) as temporary:
            figure.savefig(temporary, format="png", dpi=DPI, facecolor="white")


def svg(figure: Figure) -> str:
    """The figure as SVG text without a date."""
    FigureCanvasSVG(figure)
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    return out.getvalue().replace("'DejaVu Sans'", FONTS)
