"""The third column of any item: whatever a finished sweep measured."""

import re
from collections.abc import Sequence

import pandas as pd

from analysis.paper.figures import Curve, Dot, curves, dots
from analysis.paper.parts import UNSET, Paper, Side, not_run, setting_text, spread_text
from analysis.paper.sweeps import Spread, spreads
from interp_rc.figures.labels import ASKED
from interp_rc.report.section import Picture, Table

WHO = "Embedded model (about 1 M parameters), own facts"
SMALL = (
    "Levels differ because the embedded model is far smaller and was pretrained on other invented "
    "people only. "
)
SUBSETS = ("name_to_description", "description_to_name")
QUANTITIES = tuple(f"{subset}.{asked}" for subset in SUBSETS for asked in ("same", "reverse"))
RATES = tuple(f"exact_match.{quantity}" for quantity in QUANTITIES)
DIRECTION = re.compile(r"(?P<stem>.+)\.(?P<asked>same|reverse|forward|backward)$")
MOMENT = re.compile(r"(?P<stem>.+)\.(?:epoch_|step_)?(?P<at>\d+)$")
POINTS = ("same", "reverse")
WIDE = 4
"""Most numbers that stand beside each other."""
CELLS = {
    "name_to_description": "name → description",
    "description_to_name": "description → name",
    "both": "told in both orders",
    "pooled": "pooled",
}


def own_side(
    paper: Paper, experiment: str, *patterns: str, rule: str, picture: bool = True
) -> tuple[Side, Table | None]:
    """The side of one experiment with a figure and a table of its rates, or its being missing."""
    trials = paper.own(experiment)
    found = [] if trials is None else list(spreads(trials, *(patterns or RATES)))
    if not found:
        return Side(WHO, rule, missing=not_run(experiment)), None
    seeds = max(one.seeds for one in found)
    side = Side(
        f"{WHO}; {seeds} seed{'' if seeds == 1 else 's'} a setting",
        rule,
        own_dots(paper, experiment, found) if picture else (),
        [f"analysis/tables/{experiment}.csv"],
    )
    return side, own_table(experiment, found)


def own_table(experiment: str, found: Sequence[Spread]) -> Table:
    """Every number of the sweep, mean with interval, SD and SE: a row a setting where few numbers
    were measured, else a row each. What was measured again and again is drawn instead."""
    kept = [one for one in found if not MOMENT.fullmatch(one.name)] or list(found)
    caption = f"This run, {experiment}: means over seeds with 95 % intervals"
    names = list(dict.fromkeys(one.name for one in kept))
    if len(names) > WIDE:
        rows = [[_setting(one), one.name, spread_text(one)] for one in kept]
        return Table(caption, ["setting", "result", "this run"], rows)
    by_setting: dict[str, dict[str, str]] = {}
    for one in kept:
        by_setting.setdefault(_setting(one), {})[one.name] = spread_text(one)
    rows = [[at, *(texts.get(name, UNSET) for name in names)] for at, texts in by_setting.items()]
    return Table(caption, ["setting", *map(_said, names)], rows)


def _said(name: str) -> str:
    """The words for a result of Experiment 1, others as they are."""
    rule, _, cell = name.partition(".")
    subset, _, asked = cell.partition(".")
    known = rule == "exact_match" and subset in CELLS and asked in ASKED
    return f"{CELLS[subset]}, {ASKED[asked]}" if known else name


def _setting(one: Spread) -> str:
    return setting_text(one.setting) or "as configured"


def own_dots(paper: Paper, experiment: str, found: Sequence[Spread]) -> list[Picture]:
    """Same and reverse beside each other, a row a setting and subset (and rule, if several)."""
    named = [(one, match) for one in found if (match := DIRECTION.fullmatch(one.name))]
    named = [(one, m) for one, m in named if one.mean.unit == "fraction" and m["asked"] in POINTS]
    rules = {match["stem"].rpartition(".")[0] for _, match in named}
    rows: dict[str, dict[str, Spread]] = {}
    for one, match in named:
        rule, _, cell = match["stem"].rpartition(".")
        words = [CELLS.get(cell, cell.replace("_", " ")), setting_text(one.setting)]
        words += [rule.replace("_", " ")] if len(rules) > 1 else []
        label = "\n".join(word for word in words if word)
        rows.setdefault(label, {})[match["asked"]] = one
    if not rows:
        return []
    drawn = [
        Dot(label, {asked: one.mean for asked, one in sorted(points.items(), reverse=True)})
        for label, points in rows.items()
    ]
    alt = "; ".join(
        f"{row.label}: " + ", ".join(f"{a} {e.text()}" for a, e in row.points.items())
        for row in drawn
    ).replace("\n", ", ")
    draw = paper.picture(
        f"{experiment}_own", lambda theme: dots(drawn, theme, quantity="right [%]"), alt=alt
    )
    return [draw]


def over_training(trials: pd.DataFrame, *patterns: str) -> list[Curve]:
    """Numbers named by a moment (`….epoch_3`, `….step_40`, `….7`), one curve a setting and stem."""
    lines: dict[tuple[str, str], list[tuple[float, Spread]]] = {}
    for one in spreads(trials, *patterns):
        named = MOMENT.fullmatch(one.name)
        if named:
            key = (named["stem"], setting_text(one.setting))
            lines.setdefault(key, []).append((float(named["at"]), one))
    found = []
    for (stem, setting), points in lines.items():
        points.sort(key=lambda pair: pair[0])
        named = DIRECTION.fullmatch(stem)
        label = " · ".join(word for word in (stem.replace("_", " "), setting) if word)
        asked = named["asked"] if named else "both"
        found.append(Curve(label, asked, [x for x, _ in points], [s.mean for _, s in points]))
    return found


def training_picture(
    paper: Paper, name: str, lines: Sequence[Curve], *, y: str, scale: float = 1, x: str = "epoch"
) -> list[Picture]:
    if not lines:
        return []
    alt = "; ".join(f"{line.label}: {len(line.xs)} points" for line in lines)
    return [paper.picture(name, lambda theme: curves(lines, theme, x=x, y=y, scale=scale), alt=alt)]
