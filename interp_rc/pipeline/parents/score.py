"""Result tables of the published form, scored, and written as a table and a page."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from interp_rc.evaluation.parents.rates import Scored, parent_rates, scored_table
from interp_rc.facts.parent_tables import ParentTable, read_parent_table
from interp_rc.records.files import replacing
from interp_rc.report.parent_tables import write_parent_tables

SHOWN = 5
"""Refused rows that are named, of each file."""


def score_files(files: Sequence[Path]) -> list[Scored]:
    """Raises DataError if one of the files cannot be read; rows that cannot are `refused`."""
    tables = [read_parent_table(file) for file in files]
    return [
        Scored(name, table, parent_rates(table))
        for name, table in zip(names(tables), tables, strict=True)
    ]


def names(tables: Sequence[ParentTable]) -> list[str]:
    """The models' names; that of the file where the columns name none, and beside it where several
    files are of one model."""
    own = [table.path.stem if table.kind == "found" else table.model for table in tables]
    times = Counter(own)
    return [
        name if times[name] == 1 else f"{name} ({table.path})"
        for name, table in zip(own, tables, strict=True)
    ]


def write_scores(scored: Sequence[Scored], folder: Path) -> Path:
    """Write `rates.csv`, `figures/parents.*` and `report.html`; gives the page's file."""
    with replacing(folder / "rates.csv") as temporary:
        scored_table(scored).to_csv(temporary, index=False, float_format="%.6g")
    return write_parent_tables(scored, folder)


def refusals(scored: Sequence[Scored]) -> Iterator[str]:
    """What was left out: the first few rows of each file by line and reason, and how many."""
    for one in scored:
        table, count = one.table, len(one.table.refused)
        for row in table.refused[:SHOWN]:
            yield f"{table.path}:{row.line}: {row.reason}"
        if count:
            more = f"{count - SHOWN} more like these; " if count > SHOWN else ""
            rows = count + len(table.rows)
            yield f"{table.path}: {more}{count} of {rows} rows left out, the others are scored"
