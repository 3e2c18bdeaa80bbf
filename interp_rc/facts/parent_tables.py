"""Result tables of child-parent questions in the published form, read row by row.

A table has the columns `child`, `parent`, `parent_type` and, of one model, either

- `<model>_can_find_parent` and `<model>_can_find_child`: the share of sampled responses that named
  the right person;
- `<model>_parent_logprob` and `<model>_child_logprob`: natural-log probability of the right name;
- `can_reverse`: whether the child was named, asked about a parent that the same model had named.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp
from pathlib import Path
from typing import Literal, NamedTuple

from interp_rc.records.errors import DataError
from interp_rc.records.tables import read_csv_rows

Kind = Literal["share", "probability", "found"]
PAIR = ("child", "parent", "parent_type")
TYPES = ("mother", "father")
ENDINGS: dict[Kind, tuple[str, str]] = {
    "share": ("_can_find_parent", "_can_find_child"),
    "probability": ("_parent_logprob", "_child_logprob"),
}
REVERSED = "can_reverse"
NOT_UTF8 = "bytes that are not UTF-8; save the table as UTF-8"
TOLD = {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0, "1.0": 1.0, "0.0": 0.0}


class Named(NamedTuple):
    """A pair, and how often (or with what probability) either was named when asked about the other:
    in [0, 1]; `by_parent` is None where the pairs are those whose parent was found."""

    child: str
    parent: str
    parent_type: str
    by_child: float | None
    by_parent: float
    line: int

    @property
    def key(self) -> tuple[str, str, str]:
        return self.child, self.parent, self.parent_type


class Refused(NamedTuple):
    """A row that cannot be used: its line in the file, and why."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class ParentTable:
    """One model's answers; `refused` rows are not among `rows`.

    `by_child` of a row is the share of right parents, asked about the child; `by_parent` that of
    right children, asked about the parent.
    """

    path: Path
    model: str
    kind: Kind
    rows: list[Named]
    refused: list[Refused]


def read_parent_table(path: Path | str) -> ParentTable:
    """Reads UTF-8, with or without a byte-order mark; line breaks and commas within quotes.

    Raises DataError for a file that is not there, without the columns, with answers of several
    models, without a row that can be used, or with more rows in another unit (per cent, say) than
    in its own; single faulty rows are `refused`.
    """
    path = Path(path)
    lines = read_csv_rows(path)
    number, header = next(lines, (1, []))
    model, kind, columns = _columns(path, header)
    rows: list[Named] = []
    refused: list[Refused] = []
    for number, cells in lines:
        found = _row(cells, header, columns, kind, number)
        if isinstance(found, Refused):
            refused.append(found)
        else:
            rows.append(found)
    if not rows:
        first = f": line {refused[0].line}, {refused[0].reason}" if refused else ""
        raise DataError(f"holds no row that can be scored{first}; mend the table", file=path)
    outside = [row for row in refused if MEANT[kind] in row.reason]
    if len(outside) > len(rows):
        raise DataError(
            f"{len(outside)} of {len(rows) + len(refused)} rows hold another unit, and the rest "
            f"would be read as what they may not be ({outside[0].reason}); {REMEDY[kind]}",
            file=path,
            line=outside[0].line,
        )
    return ParentTable(path, model, kind, rows, refused)


def column_check(path: Path, header: Sequence[str]) -> None:
    """Raises DataError if a column of the pairs is not there, one is there twice, or one is named
    in no UTF-8."""
    if any(_not_utf8(name) for name in header):
        raise DataError(f"the columns' names have {NOT_UTF8}", file=path, line=1)
    lacking = [name for name in PAIR if name not in header]
    if lacking:
        raise DataError(
            f"has no column {lacking[0]!r} (it has {_listed(header)}); give child, "
            "parent and parent_type, and a model's answers where these are scored",
            file=path,
            line=1,
        )
    doubled = [name for name, times in Counter(header).items() if times > 1]
    if doubled:
        raise DataError(f"has column {doubled[0]!r:.60} twice; remove one", file=path, line=1)


def _listed(names: Sequence[str]) -> str:
    """For messages: the first few."""
    return ", ".join(name[:40] for name in names[:20]) + (" …" if len(names) > 20 else "") or "none"


def _columns(path: Path, header: Sequence[str]) -> tuple[str, Kind, tuple[str, ...]]:
    """The model, the kind of its answers, and the names of their columns."""
    column_check(path, header)
    found: list[tuple[str, Kind, tuple[str, ...]]] = []
    for kind, (parent, child) in ENDINGS.items():
        models = [name.removesuffix(parent) for name in header if name.endswith(parent)]
        for model in models:
            if model + child not in header:
                raise DataError(
                    f"has {model + parent!r}, but no {model + child!r}; give both",
                    file=path,
                    line=1,
                )
            found.append((model, kind, (model + parent, model + child)))
    if REVERSED in header:
        found.append((REVERSED, "found", (REVERSED,)))
    if len(found) != 1:
        names = _listed([one[0] for one in found])
        raise DataError(
            f"must have the answers of one model, and has those of: {names}; give columns like "
            "NAME_can_find_parent and NAME_can_find_child, NAME_parent_logprob and "
            f"NAME_child_logprob, or {REVERSED}",
            file=path,
            line=1,
        )
    return found[0]


def pair_of(
    cells: Sequence[str], header: Sequence[str], number: int
) -> tuple[str, str, str] | Refused:
    """Child, parent and parent type of a row, white space around them taken off."""
    if len(cells) != len(header):
        return Refused(number, f"{len(cells)} cells under {len(header)} columns")
    if any(_not_utf8(cell) for cell in cells):
        return Refused(number, NOT_UTF8)
    row = dict(zip(header, cells, strict=True))
    child, parent, parent_type = (row[name].strip() for name in PAIR)
    for name, text in zip(PAIR, (child, parent, parent_type), strict=True):
        if not text:
            return Refused(number, f"no {name}")
    if parent_type not in TYPES:
        return Refused(number, f"parent_type {parent_type!r:.60}, known: {', '.join(TYPES)}")
    return child, parent, parent_type


def _row(
    cells: Sequence[str], header: Sequence[str], columns: Sequence[str], kind: Kind, number: int
) -> Named | Refused:
    pair = pair_of(cells, header, number)
    if isinstance(pair, Refused):
        return pair
    row = dict(zip(header, cells, strict=True))
    values = []
    for name in columns:
        value = READ[kind](row[name].strip())
        if value is None:
            return Refused(number, f"{name} is {row[name]!r:.60}, not {MEANT[kind]}")
        values.append(value)
    by_child = values[0] if len(values) > 1 else None
    return Named(*pair, by_child, values[-1], number)


def _not_utf8(text: str) -> bool:
    """Bytes that are no UTF-8 were read as lone surrogates."""
    return any("\udc80" <= character <= "\udcff" for character in text)


def _share(text: str) -> float | None:
    value = _number(text)
    return value if value is not None and 0 <= value <= 1 else None


def _probability(text: str) -> float | None:
    value = _number(text)
    return exp(value) if value is not None and value <= 0 else None


def _told(text: str) -> float | None:
    return TOLD.get(text.lower())


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


READ: dict[Kind, Callable[[str], float | None]] = {
    "share": _share,
    "probability": _probability,
    "found": _told,
}
MEANT: dict[Kind, str] = {
    "share": "a share from 0 to 1",
    "probability": "a log-probability of 0 or less",
    "found": "true or false",
}
REMEDY: dict[Kind, str] = {
    "share": "divide per cent by 100",
    "probability": "take natural logarithms of probabilities",
    "found": "write true or false",
}
