"""What a part of the page is made of."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from interp_rc.figures.save import Draw, save_figure
from interp_rc.records.files import read_text


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure, embedded: data URIs of its light and its dark form."""

    title: str
    alt: str
    caption: str
    light: str
    dark: str


@dataclass(frozen=True, slots=True)
class Table:
    """Columns whose names are in `numeric` are set to the right."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """One measure's part of the page. `sentence` says what was found, `note` how to read it."""

    title: str
    sentence: str
    figures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()
    note: str = ""


class HasFigures(Protocol):
    """A run or a sweep: it has a folder for its figures."""

    figures: Path


def picture(
    run: HasFigures, name: str, draw: Draw, *, title: str, alt: str, caption: str
) -> Picture:
    """Draw a figure into the `figures/` of a run and embed it."""
    light, dark, _ = save_figure(draw, run.figures, name)
    return Picture(title, alt, caption, data_uri(light), data_uri(dark))


def data_uri(svg: Path) -> str:
    encoded = base64.b64encode(read_text(svg).encode()).decode()
    return f"data:image/svg+xml;base64,{encoded}"
