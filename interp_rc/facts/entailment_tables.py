"""Entailment sets of others, from a file that is there already: MNLI as JSON lines, or as a table
with tabs and a header, as GLUE has it. Nothing is downloaded.

Read are `sentence1`, `sentence2`, `gold_label` and, where there is one, `genre`; other columns are
left alone. The label "-" stands for annotators who did not agree.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from interp_rc.facts.entailment_pairs import LABELS, EntailmentPair
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import Label
from interp_rc.records.reading import read_lines
from interp_rc.records.seeds import generator
from interp_rc.records.strict_json import read_jsonl

NEEDED = ("sentence1", "sentence2", "gold_label")
UNLABELLED = "-"
ENDINGS = (".jsonl", ".tsv", ".txt")


@dataclass(frozen=True, slots=True)
class EntailmentTable:
    """`pairs` in the file's order; `unlabelled` rows are not among them, `labelled` counts all
    others of the file."""

    path: Path
    pairs: tuple[EntailmentPair, ...]
    labelled: int
    unlabelled: int


def read_entailment(
    path: Path | str, *, at_most: int | None = None, seed: int = 0
) -> EntailmentTable:
    """All labelled pairs, or `at_most` of them, drawn evenly over the file as it is read.

    Only the drawn ones are held in memory. Raises DataError, with file and line, for a row that is
    not whole, and for a file without a labelled row.
    """
    path = Path(path)
    kept: list[tuple[int, EntailmentPair]] = []
    chosen = generator(seed, "entailment table")
    labelled = unlabelled = 0
    for line, row in _rows(path):
        pair = _pair(row, path, line)
        if pair is None:
            unlabelled += 1
            continue
        labelled += 1
        if at_most is None or len(kept) < at_most:
            kept.append((line, pair))
        elif (place := chosen.randrange(labelled)) < at_most:
            kept[place] = (line, pair)
    if not kept:
        raise DataError(
            f"holds no labelled pair ({unlabelled} without a label); give a set with gold_label",
            file=path,
        )
    pairs = tuple(pair for _, pair in sorted(kept, key=lambda one: one[0]))
    return EntailmentTable(path, pairs, labelled, unlabelled)


def _pair(row: Mapping[str, Any], path: Path, line: int) -> EntailmentPair | None:
    """None for a row without a label."""
    for name in NEEDED:
        if not isinstance(row.get(name), str) or not row[name].strip():
            raise DataError(
                f"{name} is {row.get(name)!r}; each row needs texts in {', '.join(NEEDED)}",
                file=path,
                line=line,
            )
    label = row["gold_label"].strip()
    if label == UNLABELLED:
        return None
    if label not in LABELS:
        raise DataError(
            f"gold_label is {label!r}; known are {', '.join(LABELS)}, and {UNLABELLED} for none",
            file=path,
            line=line,
        )
    kind = str(row.get("genre") or path.stem)
    return EntailmentPair(
        row["sentence1"].strip(), row["sentence2"].strip(), cast(Label, label), kind
    )


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    if path.suffix not in ENDINGS:
        raise DataError(f"must end in {', '.join(ENDINGS)}", file=path)
    return read_jsonl(path) if path.suffix == ".jsonl" else _tab_rows(path)


def _tab_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Quotes mean nothing in these tables: cells are what stands between tabs."""
    header: list[str] = []
    for line, text in read_lines(path):
        cells = text.split("\t")
        if not header:
            header = cells
            lacking = [name for name in NEEDED if name not in header]
            if lacking:
                raise DataError(
                    f"has no column {lacking[0]!r}; its columns are {', '.join(header)}",
                    file=path,
                    line=line,
                )
            continue
        if len(cells) != len(header):
            message = f"{len(cells)} cells under {len(header)} columns; mend the row"
            raise DataError(message, file=path, line=line)
        yield line, dict(zip(header, cells, strict=True))
