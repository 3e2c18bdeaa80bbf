"""The section of a measure that has none of its own: its figures and all of its estimates."""

from pathlib import Path

from interp_rc.display.section import Picture, Section, Table
from interp_rc.display.wording import ESTIMATE_COLUMNS, ESTIMATE_NUMERIC, estimate_row
from interp_rc.records.runs import Measured, Run


def section(kind: str, run: Run, measured: Measured) -> Section:
    rows = [estimate_row(name, estimate) for name, estimate in measured.estimates.items()]
    table = Table(f"Estimates of {kind}", ESTIMATE_COLUMNS, rows, ESTIMATE_NUMERIC)
    return Section(
        title=kind.replace("_", " ").capitalize(),
        sentence="" if rows else "This measure left no estimates.",
        figures=[
            _embedded(kind, run.folder / name) for name in measured.figures if _svg(run, name)
        ],
        tables=[table] if rows else [],
    )


def _svg(run: Run, name: str) -> bool:
    light = name.endswith(".svg") and not name.endswith(".dark.svg")
    return light and (run.folder / name).is_file()


def _embedded(kind: str, light: Path) -> Picture:
    dark = light.with_suffix(".dark.svg")
    title = light.stem.replace("_", " ").capitalize()
    files = (light, dark if dark.is_file() else light)
    return Picture(title, f"{title}, a figure of the measure {kind}.", "", lambda: files)
