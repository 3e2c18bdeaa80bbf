"""What a part of the page is made of."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from interp_rc.display.figures.save import Draw, save_figure
from interp_rc.records.reading import read_text


@dataclass(frozen=True)
class Picture:
    """A figure as data URIs, light and dark; `files` draws it where a page first shows it, so that
    who only reads a section's sentence does not wait."""

    title: str
    alt: str
    caption: str
    files: Callable[[], tuple[Path, Path]]

    @cached_property
    def _uris(self) -> tuple[str, str]:
        light, dark = self.files()
        return data_uri(light), data_uri(dark)

    @property
    def light(self) -> str:
        return self._uris[0]

    @property
    def dark(self) -> str:
        return self._uris[1]


@dataclass(frozen=True, slots=True)
class Table:
    """Columns whose names are in `numeric` are set to the right."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """`sentence` gives the numbers, `meaning` what follows from them and what does not."""

    sentence: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Section:
    """One measure's part of the page. `sentence` says what was found, `note` how to read it.

    `answer` stands on top of the page where the run asks no queries; `unit` is what intervals are
    over; `exploratory` says why a verdict is.
    """

    title: str
    sentence: str
    figures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()
    note: str = ""
    answer: Answer | None = None
    unit: str = "facts"
    exploratory: str = ""


class HasFigures(Protocol):
    """A run or a sweep: it has a folder for its figures."""

    figures: Path


def picture(
    run: HasFigures, name: str, draw: Draw, *, title: str, alt: str, caption: str
) -> Picture:
    """A figure that is drawn into the `figures/` of a run when it is shown."""

    def files() -> tuple[Path, Path]:
        light, dark, _ = save_figure(draw, run.figures, name)
        return light, dark

    return Picture(title, alt, caption, files)


def data_uri(svg: Path) -> str:
    encoded = base64.b64encode(read_text(svg).encode()).decode()
    return f"data:image/svg+xml;base64,{encoded}"
