"""The third column of an item: what a finished sweep measured, setting by setting."""

from collections.abc import Mapping, Sequence

import pandas as pd

from analysis.paper.figures import Dot, dots
from analysis.paper.parts import UNSET, Paper, Side, not_run, setting_text, spread_text
from analysis.paper.sweeps import Cell, Spread, at_setting, axes, by_setting, spreads
from interp_rc.display.section import Picture, Table
from interp_rc.display.vocabulary import ASKED
from interp_rc.display.wording import TIE, number
from interp_rc.records.numbers import Estimate
from interp_rc.records.sweeps import SEED

WHO = "Embedded model, own facts"
SMALL = (
    "The embedded model is thousands of times smaller and was pretrained on other invented facts "
    "only, so levels are not to be compared; how the directions differ is. "
)
ONE = "one seed"
SUBSETS = ("trained_forward", "trained_backward")
CELLS = {
    "trained_forward": "name → description",
    "trained_backward": "description → name",
}
DIRECTIONS = ("same", "reverse")
QUANTITIES = tuple(f"{subset}.{asked}" for subset in SUBSETS for asked in DIRECTIONS)


def words(quantity: str) -> str:
    subset, asked = quantity.split(".")
    return f"{CELLS[subset]}, {ASKED[asked]}"


RATES = {f"exact_match.{quantity}": words(quantity) for quantity in QUANTITIES}
"""The results that most items compare, with their words."""


def own_side(
    paper: Paper,
    experiment: str,
    said: Mapping[str, str] = RATES,
    *,
    rule: str,
    picture: bool = True,
) -> tuple[Side, Table | None]:
    """The side of one experiment with a figure of its rates and a table of the results that are
    keys of `said`, or its being missing."""
    trials = paper.table(experiment)
    if trials is None:
        return Side(WHO, rule, missing=not_run(experiment)), None
    found = by_setting(spreads(trials, *said))
    drawn = [own_dots(paper, experiment, found)] if picture else ()
    side = Side(who(trials), rule, drawn, [source(experiment)])
    return side, own_table(paper, experiment, trials, said)


def source(experiment: str) -> str:
    return f"analysis/tables/{experiment}.csv"


def who(trials: pd.DataFrame) -> str:
    """Whose numbers: the models' sizes, and how many there are of each setting."""
    sizes = trials[trials["name"] == "parameters"].value / 1e6
    low, high = f"{number(sizes.min())}{TIE}M", f"{number(sizes.max())}{TIE}M"
    size = low if low == high else f"{low} to {high}"
    return f"Embedded model of {size} parameters, own facts; {seeds_text(trials)} a setting"


def seeds_text(trials: pd.DataFrame) -> str:
    count = trials[SEED].nunique() if SEED in trials else 1
    return ONE if count == 1 else f"{count} seeds"


def own_table(
    paper: Paper, experiment: str, trials: pd.DataFrame, said: Mapping[str, str]
) -> Table:
    """A row a setting: each result's mean with interval, SD and SE, then the verdicts, if any."""
    verdicts = paper.table(f"{experiment}_verdicts")
    rows = []
    for cell in by_setting(spreads(trials, *said)):
        texts = [spread_text(cell.found[n]) if n in cell.found else UNSET for n in said]
        if verdicts is not None:
            texts.append(verdict_text(at_setting(verdicts, cell.setting, axes(trials))))
        rows.append([setting_text(cell.setting), *texts])
    caption = caption_of(experiment, trials)
    columns = ["setting", *said.values()]
    if verdicts is not None:
        caption += ", and how the exploratory test of each model ended, “the reverse is at chance”"
        columns.append("reverse at chance")
    return Table(caption, columns, rows)


def caption_of(experiment: str, trials: pd.DataFrame) -> str:
    """What a number and its interval are: of one seed over facts, of several over seeds."""
    seeds = seeds_text(trials)
    numbers = "95 % intervals over facts" if seeds == ONE else "means with 95 % intervals"
    return f"This run, {experiment}: {seeds} a setting, {numbers}"


def verdict_text(rows: pd.DataFrame) -> str:
    """How many models came to each verdict."""
    counts = rows.verdict.value_counts()
    order = [one for one in ("supported", "inconclusive", "refuted") if one in counts]
    return (
        ", ".join(f"{one} {counts[one]} of {len(rows)}".replace(" ", TIE) for one in order) or UNSET
    )


def own_dots(paper: Paper, experiment: str, found: Sequence[Cell]) -> Picture:
    """Same and reverse beside each other: a panel a subset, in it a row a setting."""
    panels = {
        CELLS[subset]: [
            Dot(setting_text(cell.setting), points)
            for cell in found
            if (points := _points(cell.found, subset))
        ]
        for subset in SUBSETS
    }
    return dots_picture(paper, f"{experiment}_own", panels)


def dots_picture(paper: Paper, name: str, panels: Mapping[str, Sequence[Dot]]) -> Picture:
    alt = "; ".join(
        ", ".join(filter(None, [title, row.label]))
        + ": "
        + ", ".join(f"{ASKED[asked]} {e.text()}" for asked, e in row.points.items())
        for title, rows in panels.items()
        for row in rows
    )
    quantity = "exact match [%]"
    return paper.picture(name, lambda theme: dots(panels, theme, quantity=quantity), alt=alt)


def _points(found: Mapping[str, Spread], subset: str) -> dict[str, Estimate]:
    names = {asked: f"exact_match.{subset}.{asked}" for asked in DIRECTIONS}
    return {asked: found[name].mean for asked, name in names.items() if name in found}
