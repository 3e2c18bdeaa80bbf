"""The page of a run: one file that needs nothing else."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from interp_rc.display.section import Section, Table
from interp_rc.display.wording import (
    ESTIMATE_COLUMNS,
    ESTIMATE_NUMERIC,
    estimate_row,
    number,
    probability,
    setup_line,
)
from interp_rc.records.files import write_text
from interp_rc.records.reading import read_text
from interp_rc.records.runs import Measured, Run
from interp_rc.report.environment import page_environment
from interp_rc.report.examples import examples
from interp_rc.report.headline import answer, asked_by, headline
from interp_rc.report.sections import section
from interp_rc.report.seen import seen, seen_note


def write_report(run: Run) -> None:
    """Draw the figures of a run and write its `report.html`; results.json is not read.

    Raises RunError or DataError if a table that a measure wrote is missing or damaged.
    """
    template = page_environment().get_template("page.html.j2")
    write_text(run.report_file, template.render(content(run)))


def content(run: Run) -> dict[str, Any]:
    """Everything that the template shows."""
    measured = run.all_measured()
    config = run.config()
    asked = asked_by(measured)
    sections = [section(kind, run, part) for kind, part in measured.items()]
    unit = unit_of(sections)
    return {
        "name": config.get("name", run.folder.name),
        "setup": setup_line(config),
        "seed": config.get("seed"),
        "unit": unit,
        "answer": answer(run, measured, sections),
        "headline": headline(run, asked) if asked else None,
        "verdicts": [verdict for part in measured.values() for verdict in part.verdicts],
        "exploratory": next((one.exploratory for one in sections if one.exploratory), ""),
        "sections": sections,
        "examples": examples(run, asked.roles) if asked else [],
        "seen": seen(run) if asked else None,
        "seen_note": seen_note(config),
        "tests": tests(measured),
        "estimates": estimates(measured, unit),
        "config": read_text(run.config_file),
        "environment": environment_rows(run.environment()),
        "commands": commands(run),
    }


def unit_of(sections: Sequence[Section]) -> str:
    """What intervals are over: facts, unless all sections or the one that answers say otherwise."""
    units = {one.unit for one in sections}
    answering = [one.unit for one in sections if one.answer]
    return units.pop() if len(units) == 1 else next(iter(answering), "facts")


def tests(measured: Mapping[str, Measured]) -> Table | None:
    rows = [
        [
            test.name,
            test.test,
            number(test.statistic, 3),
            probability(test.p),
            probability(test.p_adjusted),
            test.correction or "",
            number(test.margin, 3),
            str(test.n),
        ]
        for part in measured.values()
        for test in part.tests
    ]
    columns = ["name", "test", "statistic", "p", "p adjusted", "correction", "margin", "n"]
    numeric = ["statistic", "p", "p adjusted", "margin", "n"]
    return Table("All tests of this run", columns, rows, numeric) if rows else None


def estimates(measured: Mapping[str, Measured], unit: str) -> Table:
    """`unit` is what intervals are over."""
    rows = [
        estimate_row(name, estimate)
        for part in measured.values()
        for name, estimate in part.estimates.items()
    ]
    columns, numeric = (
        [unit if name == "facts" else name for name in names]
        for names in (ESTIMATE_COLUMNS, ESTIMATE_NUMERIC)
    )
    return Table("All estimates of this run", columns, rows, numeric)


def environment_rows(environment: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested entries as dotted names."""
    rows: list[tuple[str, str]] = []
    for key, value in environment.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            rows += environment_rows(value, f"{name}.")
        else:
            rows.append((name, "not known" if value is None else str(value)))
    return rows


def commands(run: Run) -> list[str]:
    """To be typed in the folder that holds the run's."""
    folder = run.folder.resolve().name
    config, again = shlex.quote(f"{folder}/config.yaml"), shlex.quote(f"{folder}-again")
    return [
        f"interp-rc run {config} --out {again}",
        f"interp-rc report {shlex.quote(folder)}",
    ]
