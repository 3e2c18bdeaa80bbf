"""Experiment 2's tables, as published or as asked here, scored into committed aggregates."""

from collections import defaultdict
from collections.abc import Sequence
from math import inf, log
from pathlib import Path

import pandas as pd

from analysis.over_seeds import write_csv, write_environment
from interp_rc.evaluation.parents.rates import Scored, scored_table
from interp_rc.facts.parent_tables import Kind, Named
from interp_rc.pipeline.parents.score import score_files
from interp_rc.records.errors import DataError

PUBLISHED, HERE = "parents", "parents_here"


def collect_parents(folder: Path, tables: Path, name: str) -> None:
    """Write `<name>.csv`, the rates of every table of the folder, and `<name>_repeated.csv`, how
    far the answers of pairs that come twice differ. DataError if a table cannot be read."""
    files = sorted(folder.glob("*.csv"))
    if not files:
        raise DataError("holds no CSV table of child-parent answers", file=folder)
    scored = score_files(files)
    write_csv(tables, name, scored_table(scored))
    write_csv(tables, f"{name}_repeated", repeated(scored))
    write_environment(tables, name, [])


def repeated(scored: Sequence[Scored]) -> pd.DataFrame:
    """A row a table: pairs that come more than once, how many of them with different answers, and
    the largest difference between answers to one question; of log-probabilities in nats."""
    rows = []
    for one in scored:
        times: dict[tuple[str, str, str], list[Named]] = defaultdict(list)
        for row in one.table.rows:
            times[row.key].append(row)
        pairs = [found for found in times.values() if len(found) > 1]
        parent = [_span([row.by_child for row in found], one.table.kind) for found in pairs]
        child = [_span([row.by_parent for row in found], one.table.kind) for found in pairs]
        rows.append(
            {
                "model": one.name,
                "pairs_repeated": len(pairs),
                "pairs_differing": sum(max(both) > 0 for both in zip(parent, child, strict=True)),
                "parent_difference": max(parent, default=0.0),
                "child_difference": max(child, default=0.0),
                "unit": "nat" if one.table.kind == "probability" else "fraction",
            }
        )
    return pd.DataFrame(rows)


def _span(values: Sequence[float | None], kind: Kind) -> float:
    known = [value for value in values if value is not None]
    if kind == "probability":
        known = [log(value) if value else -inf for value in known]
    return 0.0 if len(set(known)) < 2 else max(known) - min(known)
