"""The symmetry data published as a table of tab-separated values, read record by record.

Columns `textid, text, pair, relation, symmetry, label`: `text` says "X r Y" in lower case and
`pair` "Y r X", `relation` is the words between, and the label follows from the symmetry:
`entailment` for `symmetric`, `neutral` for `asymmetric`. That neutral is our two-label
`contradiction`: "X r Y" of an antisymmetric relation rules "Y r X" out, and what a wrong entity
makes is what we call neutral.
"""

import csv
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from interp_rc.facts.published_symmetry_rows import COLUMNS, Note, Row, row_of
from interp_rc.facts.relations import relations
from interp_rc.records.errors import DataError
from interp_rc.records.reading import opened, read_bytes

BEGINS = re.compile(r"\d+\t")
LONGEST_HEADER = 1_000


@dataclass(frozen=True)
class PublishedSymmetry:
    """`mended` records are among `rows`; `left_out` (sound, but of no use) and `faults` are not."""

    path: Path
    rows: list[Row]
    mended: list[Note]
    left_out: list[Note]
    faults: list[Note]

    def note(self) -> str:
        """What was read, for people: rows a relation, and each thing that was done to others."""
        counts = Counter(row.relation.name for row in self.rows)
        lines = [f"{len(self.rows)} rows of {self.path.name}:"]
        lines += [f"  {counts[name]:5}  {name} ({entry.symmetry})"
                  for name, entry in relations().items()]  # fmt: skip
        told = (("mended", self.mended), ("left out", self.left_out), ("faulty", self.faults))
        for word, notes in told:
            lines += [f"{count} {word}: {found} (line {', '.join(where)})"
                      for found, count, where in _gathered(notes)]  # fmt: skip
        return "\n".join([*lines, "asymmetric rows are labelled neutral there, contradiction here"])


def _gathered(notes: Sequence[Note]) -> list[tuple[str, int, list[str]]]:
    """Each finding once, how often, and the first lines."""
    found: dict[str, list[str]] = {}
    for note in notes:
        found.setdefault(note.found, []).append(str(note.line))
    return [
        (what, len(lines), [*lines[:5], *(["…"] if len(lines) > 5 else [])])
        for what, lines in found.items()
    ]


def read_published_symmetry(path: Path | str, *, skip_faults: bool = False) -> PublishedSymmetry:
    """Reads UTF-8. Texts that a line break within quotes has broken are put together again.

    Left out are repeated sentences, an entity in relation with itself, and antisymmetric sentences
    that are also there the other way round. Raises DataError for a file without these columns or
    without rows, and, unless `skip_faults`, for the first record that cannot be used.
    """
    path = Path(path)
    mended: list[Note] = []
    faults: list[Note] = []
    rows: dict[str, Row] = {}
    for line, cells in _records(path, faults):
        found = row_of(line, cells)
        if isinstance(found, Row) and found.id in rows:
            found = Note(line, f"textid {found.id} is that of line {rows[found.id].line}")
        if isinstance(found, Note):
            faults.append(found)
            continue
        rows[found.id] = found
        if any("\n" in cell for cell in cells):
            mended.append(Note(line, "a record broken over lines"))
    if faults and not skip_faults:
        more = f" ({len(faults)} such rows in all)" if len(faults) > 1 else ""
        first = min(faults)
        raise DataError(
            f"{first.found}{more}; mend the row, or skip faulty ones (--skip-faults)",
            file=path,
            line=first.line,
        )
    left_out = list(_of_no_use(rows.values()))
    useless = {note.line for note in left_out}
    kept = [row for row in rows.values() if row.line not in useless]
    if not kept:
        raise DataError("holds no row that can be used", file=path)
    return PublishedSymmetry(path, kept, mended, left_out, sorted(faults))


def is_published_symmetry(path: Path) -> bool:
    """Whether a file begins with the columns of this form."""
    if not path.is_file():
        return False
    with opened(path) as file:
        first = file.readline(LONGEST_HEADER).decode("utf-8-sig", errors="replace")
    return tuple(first.rstrip("\r\n").split("\t")) == COLUMNS


def _records(path: Path, faults: list[Note]) -> Iterator[tuple[int, list[str]]]:
    """Line and cells of each record. A record begins with a number and a tab: so a quote that is
    never closed spoils its own record only."""
    if not is_published_symmetry(path):
        message = f"needed is a table with the columns {', '.join(COLUMNS)}, tab-separated"
        raise DataError(message, file=path, line=1 if path.is_file() else None)
    text = read_bytes(path).decode("utf-8-sig", errors="surrogateescape")
    group: list[str] = []
    first = 2
    for number, line in enumerate([*text.replace("\r\n", "\n").split("\n")[1:], "0\t"], 2):
        if BEGINS.match(line) and group:
            yield from _in_group(group, first, faults)
            group = []
        first = first if group else number
        group.append(line + "\n")


def _in_group(
    group: Sequence[str], first: int, faults: list[Note]
) -> Iterator[tuple[int, list[str]]]:
    """One record, where all is well, and whatever follows before the next number and tab."""
    reader = csv.reader(group, "excel-tab", strict=True)
    read = 0
    try:
        for cells in reader:
            if cells:
                yield first + read, cells
            read = reader.line_num
    except csv.Error as error:
        faults.append(Note(first + read, f"is not a record ({error})"))


def _of_no_use(rows: Collection[Row]) -> Iterator[Note]:
    said = {(row.relation.name, row.subject, row.object) for row in rows}
    met: set[tuple[str, str, str]] = set()
    for row in rows:
        sentence = (row.relation.name, row.subject, row.object)
        if row.subject == row.object:
            yield Note(row.line, "an entity in relation with itself")
        elif sentence in met:
            yield Note(row.line, "a sentence that is there before")
        elif row.relation.symmetry == "antisymmetric" and sentence[:1] + sentence[:0:-1] in said:
            yield Note(row.line, "an antisymmetric sentence that is there the other way round")
        met.add(sentence)
