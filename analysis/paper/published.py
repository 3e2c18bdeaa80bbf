"""What the paper's authors published, as numbers with their sources."""

from pathlib import Path

import pandas as pd

from analysis.old_names import read_table
from interp_rc.records.errors import DataError

FOLDER = Path(__file__).parents[1] / "as_published"
NOT_FOUND = "not_found"
COLUMNS = [
    "item",
    "model",
    "seed",
    "learning_rate",
    "batch_size",
    "step",
    "quantity",
    "value",
    "unit",
    "source",
    "note",
]
REPOSITORY = "lukasberglund/reversal_curse"
"""Where the paths in `source` are, at the commit given there."""


def as_published(folder: Path = FOLDER) -> pd.DataFrame:
    """All numbers: one row each, with model, run, setting, unit, source and note.

    Raises DataError if a file has other columns, or a row no number or no source.
    """
    tables = []
    for file in sorted(folder.glob("*.csv")):
        if file.stem == NOT_FOUND:
            continue
        table = read_table(file, dtype={"seed": str, "note": str})
        if list(table.columns) != COLUMNS:
            raise DataError(f"columns are {', '.join(table)}; give {', '.join(COLUMNS)}", file=file)
        bare = table[["value", "unit", "source"]].isna().any(axis=1)
        if bare.any():
            line = int(bare.to_numpy().argmax()) + 2
            raise DataError("a row without value, unit or source; add it", file=file, line=line)
        tables.append(table)
    if not tables:
        raise DataError("no table of published numbers", file=folder)
    return pd.concat(tables, ignore_index=True)


def not_found(folder: Path = FOLDER) -> pd.DataFrame:
    """What no source was found for: item, what, looked_in."""
    return read_table(folder / f"{NOT_FOUND}.csv")
