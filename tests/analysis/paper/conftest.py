"""Sweeps of all experiments made up, their tables, and the page made from those."""

import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from analysis.descriptions import TABLES
from analysis.paper.collect import collect
from analysis.paper.page import write_page
from analysis.paper.parts import Paper
from analysis.paper.sweeps import EXPERIMENTS
from interp_rc.display.figures.style import LIGHT, styled
from tests.analysis.paper.made_up import make_sweep

MADE = set()


class Page(HTMLParser):
    """Tags with their attributes, the text, and the rows of every table."""

    def __init__(self, text):
        super().__init__()
        self.html, self.tags, self.text, self.rows, self._cell = text, [], "", [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self._cell = ""

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.rows[-1].append(self._cell)
            self._cell = None

    def handle_data(self, data):
        self.text += data
        if self._cell is not None:
            self._cell += data

    def row(self, label):
        """The first row that begins so."""
        return next(row for row in self.rows if row and row[0] == label)


def page_of(paper, tmp_path):
    write_page(paper, tmp_path / "paper.html")
    return Page((tmp_path / "paper.html").read_text())


def table_of(page, caption):
    """One table of a page, by the beginning of its caption."""
    table = page.html[page.html.index(f'<p class="caption">{caption}') :]
    return Page(table[: table.index("</table>")])


def row_of(page, caption, label):
    """The row of one table of a page that begins so."""
    return table_of(page, caption).row(label)


@pytest.fixture(scope="session")
def sweeps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every experiment of the page as a finished sweep."""
    folder = tmp_path_factory.mktemp("sweeps")
    known: dict[str, Any] = {}
    for experiment in EXPERIMENTS:
        make_sweep(folder, experiment, known)
    return folder


@pytest.fixture(scope="session")
def tables(sweeps: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Those sweeps collected, beside the committed tables that come from no sweep."""
    folder = tmp_path_factory.mktemp("tables")
    others = ("descriptions_by_seed", "published", "parents", "parents_repeated", "released_span")
    for name in (f"{other}.csv" for other in others):
        (folder / name).write_bytes((TABLES / name).read_bytes())
    collect(sweeps, folder)
    return folder


@pytest.fixture
def paper(tables: Path, tmp_path: Path) -> Paper:
    return Paper(tmp_path / "figures", tables)


@pytest.fixture(scope="module", autouse=True)
def unsaved():
    """Figures are made once, and not saved, which takes most of a page's time. Gives their names,
    to be cleared where they shall be made again."""

    def only_made(draw, folder, name):
        if name not in MADE:
            with styled(LIGHT):
                assert draw(LIGHT).axes
            MADE.add(name)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.svg").write_text("<svg/>")
        return [folder / f"{name}.svg"] * 3

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("interp_rc.display.section.save_figure", only_made)
        yield MADE


@pytest.fixture(scope="module")
def whole(tables, tmp_path_factory):
    """Every sweep finished."""
    folder = tmp_path_factory.mktemp("page")
    return page_of(Paper(folder / "figures", tables), folder)


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """Nothing was run here but the ten seeds."""
    folder = tmp_path_factory.mktemp("bare")
    shutil.copy(TABLES / "descriptions_by_seed.csv", folder)
    return page_of(Paper(folder / "figures", folder), folder)
