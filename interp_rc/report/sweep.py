"""The page of a sweep: what its headline numbers are at each setting."""

import shlex
from collections.abc import Mapping, Sequence
from itertools import product
from math import nan
from typing import Any

import numpy as np
import pandas as pd

from interp_rc.display.figures.settings import Curve, Grid, curves_figure, grids_figure
from interp_rc.display.section import HasFigures, Picture, Table, picture
from interp_rc.display.vocabulary import ASKED
from interp_rc.display.wording import estimate_row, setup_line, spoken
from interp_rc.records.estimates import NUMBERED, Value
from interp_rc.records.files import write_text
from interp_rc.records.numbers import Estimate
from interp_rc.records.sweeps import SEED, Cells, SweepRun, text_of
from interp_rc.report.environment import page_environment
from interp_rc.report.headline import ASKS
from interp_rc.report.settings import named, numbering, ticks, told_apart

Shown = dict[str, dict[str, Value]]
"""Numbers by name, and what each is of."""
HEADLINE = ("exact_match.pooled.same", "exact_match.pooled.reverse")


def write_sweep_report(sweep: SweepRun) -> None:
    """Draw the figures of a sweep and write its `report.html`, of the trials that are finished."""
    template = page_environment().get_template("sweep.html.j2")
    write_text(sweep.report_file, template.render(content(sweep)))


def content(sweep: SweepRun) -> dict[str, Any]:
    """Everything that the template shows."""
    spec, table = sweep.spec(), sweep.table()
    inner = [axis for axis in spec["axes"] if axis != SEED]
    cells, shown = told_apart(sweep.cells()), shown_numbers(sweep)
    trials = list(spec["trials"])
    done = table.trial.unique()
    return {
        "name": spec["name"],
        "sentence": sentence(cells, shown),
        "setup": _first_of(inner) + setup_line(sweep.trial(str(done[0])).config()),
        "intervals": intervals_note(table),
        "missing": missing_note(len(done), len(trials)),
        "figures": figures(sweep, cells, inner, shown),
        "settings": settings_table(cells, inner, shown),
        "numbers": numbers_table(cells, inner),
        "runs": runs_table(spec, set(done)),
        "commands": commands(sweep, str(done[0])),
    }


def _first_of(axes: Sequence[str]) -> str:
    """What the line on model and training is of, where these are varied."""
    return "First setting: " if any(a.startswith(("model", "training")) for a in axes) else ""


def shown_numbers(sweep: SweepRun) -> Shown:
    """What the sweep says, or both pooled rates of exact match, or the first results."""
    table = sweep.table()
    there = list(dict.fromkeys(table.name))
    wanted = sweep.spec().get("show") or [n for n in HEADLINE if n in there] or there[:4]
    found: Shown = {}
    for trial in table.trial.unique():
        if not found.keys() >= set(wanted) & set(there):
            for kind, measured in sweep.trial(str(trial)).all_measured().items():
                measure = {} if kind in ASKS else {"measure": kind}
                found |= {row.name: measure | row.of for row in measured.estimates.rows}
    return {name: found[name] for name in wanted if name in found}


def label(of: Mapping[str, Value]) -> str:
    """What a number is of, in words: ``exact match, same order``."""
    parts = [
        f"{axis} {value}"
        if axis in NUMBERED
        else ASKED.get(str(value)) or str(value).replace("_", " ")
        for axis, value in of.items()
        if value != "pooled"
    ]
    return ", ".join(parts).replace("_", " ")


def listing(shown: Shown) -> str:
    return ", ".join(map(label, shown.values()))


def setting(cell: Sequence[object], axes: Sequence[str]) -> str:
    return ", ".join(f"{short(axis)} {text_of(v)}" for axis, v in zip(axes, cell, strict=True))


def short(axis: str) -> str:
    return axis.rpartition(".")[2].replace("_", " ")


def sentence(cells: Cells, shown: Shown) -> str:
    """The range of each shown number over the settings."""
    parts = []
    for name, of in shown.items():
        found = [
            e for of_cell in cells.values() if (e := of_cell.get(name)) and e.value is not None
        ]
        if not found:
            continue
        low, high = (pick(found, key=lambda e: e.value or 0) for pick in (min, max))
        between = spoken(low) if low == high else f"between {spoken(low)} and {spoken(high)}"
        parts.append(f"{label(of)}: {between}")
    count = f"{len(cells)} settings" if len(cells) > 1 else "one setting"
    told = "; ".join(parts)
    return f"Over {count}, {told}." if told else f"No number of {count} is shown."


def intervals_note(table: pd.DataFrame) -> str:
    if SEED in table and table[SEED].nunique() > 1:
        return (
            f"Means over {table[SEED].nunique()} seeds with 95 % t intervals of the seeds' values; "
            "a rate that is the same in all seeds has its exact interval over facts."
        )
    return "Intervals are 95 % intervals over the facts of one model: one seed a setting."


def missing_note(done: int, planned: int) -> str:
    if done == planned:
        return ""
    return (
        f"{planned - done} of {planned} runs are not in these numbers: they failed or did not end."
    )


def figures(sweep: HasFigures, cells: Cells, axes: Sequence[str], shown: Shown) -> list[Picture]:
    """Lines over one axis; over more, heat maps of the two with the most values."""
    if not axes or not shown:
        return []
    of_unit: dict[str, Shown] = {}
    for name, of in shown.items():
        unit = next(e.unit for of_cell in cells.values() if (e := of_cell.get(name)))
        of_unit[unit] = of_unit.get(unit, {}) | {name: of}
    draw = lines if len(axes) == 1 else maps
    return [
        draw(sweep, cells, axes, names, unit, f"settings_{number}")
        for number, (unit, names) in enumerate(of_unit.items(), 1)
    ]


def lines(
    sweep: HasFigures, cells: Cells, axes: Sequence[str], names: Shown, unit: str, file: str
) -> Picture:
    nothing = Estimate(None, None, None, 0, unit)
    curves = [
        Curve(
            label(of),
            str(of.get("direction")),
            [of_cell.get(name, nothing) for of_cell in cells.values()],
        )
        for name, of in names.items()
    ]
    values = [cell[0] for cell in cells]
    quantity = "[%]" if unit == "fraction" else f"[{unit}]"
    return picture(
        sweep,
        file,
        lambda theme: curves_figure(
            curves, ticks(values), theme, axis=short(axes[0]), quantity=quantity
        ),
        title=f"By {short(axes[0])}",
        alt=f"{listing(names)} at each {short(axes[0])}; the table below has them.",
        caption=f"Points with 95 % intervals.{numbering(values)}",
    )


def maps(
    sweep: HasFigures, cells: Cells, axes: Sequence[str], names: Shown, unit: str, file: str
) -> Picture:
    values = [list(dict.fromkeys(cell[i] for cell in cells)) for i in range(len(axes))]
    y, x = sorted(sorted(range(len(axes)), key=lambda i: -len(values[i]))[:2])
    rest = [i for i in range(len(axes)) if i not in (y, x)]
    scale = 100 if unit == "fraction" else 1
    grids = []
    for name, of in names.items():
        for fixed in product(*(values[i] for i in rest)):
            at = {
                (cell[y], cell[x]): of_cell[name].value
                for cell, of_cell in cells.items()
                if tuple(cell[i] for i in rest) == fixed and name in of_cell
            }
            found = [[at.get((row, column)) for column in values[x]] for row in values[y]]
            filled = np.array([[nan if v is None else scale * v for v in row] for row in found])
            title = ", ".join([label(of), *map(text_of, fixed)])
            grids.append((title, filled))
    every = np.concatenate([filled.ravel() for _, filled in grids])
    span = (0.0, 100.0) if scale == 100 else (float(np.nanmin(every)), float(np.nanmax(every)))
    shown = "%" if scale == 100 else unit
    return picture(
        sweep,
        file,
        lambda theme: grids_figure(
            [
                Grid(f"{title} [{shown}]", filled, span, digits=0 if scale == 100 else 1)
                for title, filled in grids
            ],
            ticks(values[y]),
            ticks(values[x]),
            theme,
            axes_named=(short(axes[y]), short(axes[x])),
        ),
        title=f"By {short(axes[y])} and {short(axes[x])}",
        alt=f"Heat maps of {listing(names)}; the table below has every number.",
        caption="Means over seeds; a dash where no run ended. Intervals are in the table below."
        f"{numbering(values[y], values[x])}",
    )


def settings_table(cells: Cells, axes: Sequence[str], shown: Shown) -> Table:
    names = [named(list(dict.fromkeys(column))) for column in zip(*cells, strict=True)]
    rows = [
        [
            *(of_axis[value] for of_axis, value in zip(names, cell, strict=True)),
            *(spoken(of_cell[name]) if name in of_cell else "" for name in shown),
        ]
        for cell, of_cell in cells.items()
    ]
    columns = [*map(short, axes), *map(label, shown.values())]
    return Table("Each setting, with 95 % intervals", columns, rows, columns)


def numbers_table(cells: Cells, axes: Sequence[str]) -> Table:
    rows = [
        [setting(cell, axes), *estimate_row(name, estimate)]
        for cell, of_cell in cells.items()
        for name, estimate in of_cell.items()
    ]
    columns = ["setting", "result", "value", "95 % interval", "n", "unit"]
    return Table("All estimates", columns, rows, ["value", "95 % interval", "n"])


def runs_table(spec: Mapping[str, Any], done: set[str]) -> Table:
    rows = [
        [trial, setting(list(point.values()), list(point)), "yes" if trial in done else "no"]
        for trial, point in spec["trials"].items()
    ]
    return Table("Folders below trials/", ["run", "setting", "finished"], rows)


def commands(sweep: SweepRun, trial: str) -> list[str]:
    """To be typed in the folder that holds the sweep's."""
    folder = shlex.quote(sweep.folder.resolve().name)
    return [
        f"interp-rc report {folder}/trials/{trial}",
        f"interp-rc report {folder}",
    ]
