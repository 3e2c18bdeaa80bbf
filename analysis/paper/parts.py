"""What the page is made of, and how its numbers read."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from analysis.descriptions import TABLES
from analysis.old_names import read_table
from analysis.paper.published import FOLDER, as_published, not_found
from analysis.paper.sweeps import Spread
from interp_rc.display.figures.save import Draw
from interp_rc.display.section import Picture, Table, picture
from interp_rc.display.wording import TIE, number, probability, spoken
from interp_rc.records.errors import DataError
from interp_rc.records.numbers import Estimate

HEADINGS = ("As published", "Published data, scored or run here", "This run")
UNSET = "—"


@dataclass(frozen=True, slots=True)
class Side:
    """One of the three columns: whose numbers, under which rule, from where; or what is missing."""

    who: str
    rule: str = ""
    pictures: Sequence[Picture] = ()
    sources: Sequence[str] = ()
    missing: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """A table or figure of the paper: three sides, their numbers, and why they differ."""

    place: str
    title: str
    asked: str
    sides: tuple[Side, Side, Side]
    why: str
    tables: Sequence[Table] = field(default=())


class Paper:
    """The committed tables that the page is made from, and the folder its figures go to."""

    def __init__(self, figures: Path, tables: Path = TABLES, published: Path = FOLDER) -> None:
        self.figures, self.tables, self._published = figures, tables, published

    @cached_property
    def published(self) -> pd.DataFrame:
        return as_published(self._published)

    def item(self, name: str) -> pd.DataFrame:
        return self.published[self.published["item"] == name]

    def lost(self, *names: str) -> list[str]:
        """Sentences on what no source was found for."""
        rows = not_found(self._published)
        return [
            f"Not found: {row.what} ({row.looked_in})."
            for row in rows[rows["item"].isin(names)].itertuples()
        ]

    def table(self, name: str, *needed: str) -> pd.DataFrame | None:
        """A committed table of this run: an experiment's trials, say; null where it is not.

        DataError if it has not the columns that are `needed`.
        """
        file = self.tables / f"{name}.csv"
        if not file.is_file():
            return None
        table = read_table(file)
        for column in needed:
            if column not in table:
                raise DataError(
                    f"no column {column!r}; run experiments/{name.removesuffix('_trace')}.yaml "
                    "with its own sweep and collect it again",
                    file=file,
                )
        return table

    def picture(self, name: str, draw: Draw, *, alt: str) -> Picture:
        return picture(self, name, draw, title="", alt=alt, caption="")


def value(table: pd.DataFrame, quantity: str) -> float:
    """The one value of a quantity."""
    (found,) = table[table.quantity == quantity].value
    return float(found)


def sources(table: pd.DataFrame) -> list[str]:
    """Each file once, with all the places in it."""
    places: dict[str, list[str]] = {}
    for source in dict.fromkeys(table.source):
        file, _, place = source.partition(", ")
        places.setdefault(file, []).append(place)
    return [", ".join([file, *filter(None, found)]) for file, found in places.items()]


NOT_RUN = "Not run"


def not_run(experiment: str) -> list[str]:
    return [f"{NOT_RUN} yet: interp-rc run {experiment}"]


def point(number_: float, unit: str) -> Estimate:
    """A published number, which comes without an interval."""
    return Estimate(number_, None, None, 1, unit)


def shown(number_: float, unit: str) -> str:
    """Rates in percent with one digit, probabilities as such, others with two digits."""
    if unit == "fraction":
        return f"{number(100 * number_, 1)}{TIE}%"
    if unit == "p":
        return probability(number_)
    return number(number_) if unit == "statistic" else f"{number(number_)}{TIE}{unit}"


def spread_text(one: Spread) -> str:
    """Mean with its interval, then SD and SE over its seeds; sizes in millions."""
    if one.mean.unit == "parameters":
        return f"{number((one.mean.value or 0) / 1e6)}{TIE}M"
    if one.sd is None or one.se is None:
        return spoken(one.mean)
    scale, unit = (100, f"{TIE}%") if one.mean.unit == "fraction" else (1, f"{TIE}{one.mean.unit}")
    digits = 1 if one.mean.unit == "fraction" else 2
    return (
        f"{spoken(one.mean)}\nSD{TIE}{number(scale * one.sd, digits)}{unit},{TIE}"
        f"SE{TIE}{number(scale * one.se, digits)}{unit}"
    )


SETTINGS = {
    "facts.both": "{} told both ways",
    "facts.both_in": "both orders in {}",
    "facts.form": "told as {}",
    "facts.order": "told {}",
    "facts.exposures": "{} documents a fact",
    "facts.per_subset": "{} facts a subset",
    "facts.training_templates": "templates: {}",
    "model.world.in_context": "{} in-context documents",
}
"""Axes whose keys say too little alone."""
WORDS = {
    "separate": "two documents",
    "statement": "a statement",
    "question_answer": "question and answer",
}


def setting_text(setting: Mapping[str, object]) -> str:
    """The axes of a sweep in words: the last part of each key with its value, unless known."""
    return ", ".join(
        SETTINGS.get(axis, axis.rpartition(".")[2].replace("_", " ") + " {}").format(_short(found))
        for axis, found in setting.items()
    )


def _short(found: object) -> str:
    text = f"{found:g}" if isinstance(found, float) else str(found)
    return WORDS.get(text, text.replace("_", " "))


def compare(rows: Iterable[Sequence[str]], caption: str) -> Table:
    """The three columns of numbers; empty cells say so."""
    filled = [[row[0], *(cell or UNSET for cell in row[1:])] for row in rows]
    return Table(caption, ["quantity", *(heading.lower() for heading in HEADINGS)], filled)
