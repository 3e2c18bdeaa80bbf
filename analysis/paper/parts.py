"""What the page is made of, and how its numbers read."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from analysis.descriptions import TABLES
from analysis.old_names import read_table
from analysis.paper.published import FOLDER, as_published, not_found
from analysis.paper.sweeps import at_settings, axes, known
from interp_rc.display.figures.rates import Rate, rates_figure
from interp_rc.display.section import Picture, Section, Table, picture
from interp_rc.display.vocabulary import ASKED
from interp_rc.display.wording import TIE, listed, number, spoken
from interp_rc.records.errors import DataError
from interp_rc.records.numbers import Estimate
from interp_rc.records.sweeps import SEED, Cells
from interp_rc.report.sweep import HEADLINE, Shown, lines, maps, setting, settings_table

PUBLISHED, AGAIN, OWN = HEADINGS = ("As published", "Published data, here", "This run")
DIRECTIONS = ("same", "reverse")
CELLS = {
    "trained_forward": "name → description",
    "trained_backward": "description → name",
}
RATES = {
    f"exact_match.{group}.{asked}": f"{told}, {ASKED[asked]}"
    for group, told in CELLS.items()
    for asked in DIRECTIONS
}
"""The results that most items compare, with their words."""
PREFIX = "Exact match (prefix): the greedy completion begins with the target"
SMALL = (
    "The embedded model is thousands of times smaller and was pretrained on other invented facts "
    "only, so levels are not to be compared; how the directions differ is. "
)
NOTHING_FOUND = "No published number was found to compare with. "


class Side(NamedTuple):
    """Whose numbers, under which rule, from where; or what is missing."""

    who: str
    rule: str = ""
    sources: Sequence[str] = ()
    missing: Sequence[str] = ()


class Own(NamedTuple):
    """What a finished sweep brings to an item."""

    side: Side
    figures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()


def item(
    title: str,
    sentence: str,
    sides: tuple[Side, Side, Side],
    why: str,
    figures: Iterable[Picture | None] = (),
    tables: Sequence[Table] = (),
) -> Section:
    """A table or figure of the paper: its numbers, whose they are, and `why` they differ."""
    models = [" ".join(filter(None, [side.who, *side.missing])) for side in sides]
    rows = [
        [heading, model, side.rule, "; ".join(side.sources)]
        for heading, model, side in zip(HEADINGS, models, sides, strict=True)
    ]
    whose = Table("Whose numbers these are", ["column", "model", "rule", "source"], rows)
    return Section(title, sentence, list(filter(None, figures)), [*tables, whose], why)


class Paper:
    """The committed tables that the page is made from, and the folder its figures go to."""

    def __init__(self, figures: Path, tables: Path = TABLES, published: Path = FOLDER) -> None:
        self.figures, self.tables, self._published = figures, tables, published

    @cached_property
    def published(self) -> pd.DataFrame:
        return as_published(self._published)

    def item(self, name: str) -> pd.DataFrame:
        return self.published[self.published["item"] == name]

    def runs(self, name: str) -> pd.DataFrame:
        """Published runs with the columns of our trials: means over runs have t intervals."""
        found = self.item(name)
        return found.assign(name=found.quantity, n=30)

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

    def own(self, experiment: str, rule: str = PREFIX, said: Iterable[str] = RATES) -> Own:
        """The side of a sweep: its pooled rates drawn over its settings, and those `said` of each,
        with how the hypotheses of its models ended, if any."""
        trials = self.table(experiment)
        if trials is None:
            return not_run(experiment, rule)
        varied = axes(trials)
        cells, named = at_settings(trials, {*said, *HEADLINE}, varied), varied
        if len(varied) > 1:  # which vary together
            cells = {(setting(cell, varied),): found for cell, found in cells.items()}
            named = ["setting"]
        tables = [self.settings(experiment, cells, named, list(said))]
        verdicts = self.table(f"{experiment}_verdicts")
        if verdicts is not None:
            rows = [
                [setting(known(cell), varied), verdict_text(rows)]
                for cell, rows in verdicts.groupby(varied, sort=False, dropna=False)
            ]
            caption = "How the exploratory test of each model ended, “the reverse is at chance”"
            tables.append(Table(caption, ["setting", "verdicts"], rows))
        return Own(
            Side(who(trials), rule, [source(experiment)]),
            [self.drawn(f"{experiment}_own", cells, named, HEADLINE, OWN)],
            tables,
        )

    def settings(
        self, experiment: str, cells: Cells, varied: Sequence[str], names: Sequence[str]
    ) -> Table:
        """Each setting of a sweep."""
        table = settings_table(cells, varied, by_axes(names))
        return replace(table, caption=f"This run, {experiment}: means with 95 % intervals")

    def drawn(
        self, name: str, cells: Cells, varied: Sequence[str], names: Sequence[str], title: str
    ) -> Picture:
        """Rates over the settings, as a sweep's own page draws them."""
        draw, note = (lines, "") if len(varied) == 1 else (maps, "A dash where there is no run.")
        drawn = draw(self, cells, varied, by_axes(names), "fraction", name)
        return replace(drawn, title=title, caption=note or drawn.caption)

    def rates(self, name: str, rates: Sequence[Rate], title: str, over: str = "") -> Picture | None:
        """Rates as bars; nothing where there are none."""
        alt = "; ".join(f"{one.group}, {one.label}: {one.estimate.text()}" for one in rates)
        if not rates:
            return None
        return picture(
            self,
            name,
            lambda theme: rates_figure(rates, theme, quantity="exact match", over=over),
            title=title,
            alt=alt,
            caption="",
        )


def by_axes(names: Iterable[str]) -> Shown:
    """What numbers are of, as far as a committed table says it: their names' parts."""
    found: Shown = {}
    for name in names:
        *parts, direction = name.split(".")
        found[name] = {part: part for part in parts} | {"direction": direction}
    return found


def bars(found: Mapping[str, Estimate], before: str = "exact_match.") -> list[Rate]:
    """A row for each of our four cells that is `found`, by the name after `before`."""
    return [
        Rate(told, ASKED[asked], asked, found[name])
        for group, told in CELLS.items()
        for asked in DIRECTIONS
        if (name := f"{before}{group}.{asked}") in found
    ]


def value(table: pd.DataFrame, quantity: str) -> float:
    """The one value of a quantity."""
    (found,) = table[table.quantity == quantity].value
    return float(found)


def sources(table: pd.DataFrame) -> list[str]:
    """Each file once, with all the places in it."""
    places: dict[str, list[str]] = {}
    for text in dict.fromkeys(table.source):
        file, _, place = text.partition(", ")
        places.setdefault(file, []).append(place)
    return [", ".join([file, *filter(None, found)]) for file, found in places.items()]


def source(name: str) -> str:
    return f"analysis/tables/{name}.csv"


def not_run(experiment: str, rule: str = "") -> Own:
    missing = f"Not run yet: interp-rc run {experiment}"
    return Own(Side("Embedded model, own facts.", rule, missing=[missing]))


def who(trials: pd.DataFrame) -> str:
    """Whose numbers: the models' sizes, and how many there are of each setting."""
    sizes = trials[trials["name"] == "parameters"].value / 1e6
    ends = dict.fromkeys(f"{number(end(sizes))}{TIE}M" for end in (min, max))
    return (
        f"Embedded model of {' to '.join(ends)} parameters, own facts; {seeds_text(trials)} a "
        "setting"
    )


def seeds_text(trials: pd.DataFrame) -> str:
    count = trials[SEED].nunique() if SEED in trials else 1
    return "one seed" if count == 1 else f"{count} seeds"


def verdict_text(rows: pd.DataFrame) -> str:
    """How many models came to each verdict."""
    counts = rows.verdict.value_counts()
    return listed([f"{one}{TIE}{n} of {len(rows)}" for one, n in counts.sort_index().items()])


def point(number_: float, unit: str) -> Estimate:
    """A published number, which comes without an interval."""
    return Estimate(number_, None, None, 1, unit)


def shown(number_: float, unit: str) -> str:
    """A number without an interval; rates in percent with one digit."""
    return spoken(point(number_, unit))


def ends(cells: Cells, name: str) -> str:
    """The lowest and the highest estimate of that name over all settings."""
    known = [e.value for found in cells.values() if (e := found.get(name)) and e.value is not None]
    if not known:
        return ""
    between = dict.fromkeys(shown(end(known), "fraction") for end in (min, max))
    return f"{' to '.join(between)}, {len(known)} settings"


def compare(rows: Iterable[Sequence[str]], caption: str) -> Table:
    """Numbers of the three columns beside each other; empty cells say so."""
    filled = [[row[0], *(cell or "—" for cell in row[1:])] for row in rows]
    return Table(caption, ["quantity", *(heading.lower() for heading in HEADINGS)], filled)
