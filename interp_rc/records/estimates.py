"""Estimates as a long table: what each is of, axis by axis. Dotted names are made here alone."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from interp_rc.records.errors import RunError
from interp_rc.records.nouns import ORDERS
from interp_rc.records.numbers import Estimate

if TYPE_CHECKING:
    import pandas as pd

AXES = (
    "part",  # of a measure that has several
    "quantity",
    "model",
    "group",
    "order",
    "direction",
    "seen",
    "component",
    "layer",
    "place",
    "head",
    "neuron",
    "reading",
    "method",
    "edit",  # what was done to the model
    "when",  # before it, or after
    "phase",  # of a training
    "role",  # of what is asked
    "target",  # whose answer
    "set",  # which of many were taken
    "context",  # what the prompt held
    "wording",
    "rule",  # by which answers count as right
    "step",
    "count",
    "rank",
    "size",
    "relation",
    "label_set",
    "entities",
    "form",
)
"""The columns of `estimates.parquet` that say what an estimate is of; null where it has none."""
NUMBERED = {
    "layer": "layer_",
    "head": "head_",
    "neuron": "neuron_",
    "step": "step_",
    "count": "k",
    "rank": "r",
    "size": "size_",
}
"""Axes whose values are numbers, and what stands before these in a name: ``layer_3``."""
NAME = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")

Value = str | int


class MissingNumber(RunError):
    """A number that this version's measures make, in a run that an earlier one measured."""


class Row(NamedTuple):
    """One estimate, and what it is of."""

    name: str
    of: dict[str, Any]
    estimate: Estimate

    def as_dict(self) -> dict[str, Any]:
        """For a line of a file."""
        return {"name": self.name, "of": self.of, **self.estimate.as_dict()}


def row_from(line: Mapping[str, Any]) -> Row:
    """Read what `as_dict` gives. Raises TypeError or LookupError for anything else."""
    numbers = {key: value for key, value in line.items() if key not in ("name", "of")}
    return Row(line["name"], line["of"], Estimate(**numbers))


class Estimates(Mapping[str, Estimate]):
    """Estimates in the order in which they were added, by what they are of and by dotted name.

    A name is `prefix` and the values of the axes, in the order in which they are given.
    """

    def __init__(self, prefix: str = "", rows: Iterable[Row] = ()) -> None:
        self.prefix = prefix
        self._rows: dict[str, Row] = {}
        self._by_axes: dict[frozenset[tuple[str, Value]], Row] = {}
        for row in rows:
            self._put(row)

    def name(self, **of: Any) -> str:
        """Make the dotted name of the estimate of these."""
        parts = [f"{NUMBERED.get(axis, '')}{value}" for axis, value in _known(of).items()]
        return ".".join([self.prefix, *parts] if self.prefix else parts)

    def add(self, estimate: Estimate, **of: Any) -> None:
        """Add the estimate of these. Raises RunError if there is one, or the name is malformed."""
        self._put(Row(self.name(**of), _known(of), estimate))

    def _put(self, row: Row) -> None:
        if not NAME.fullmatch(row.name):
            raise RunError(f"result name {row.name!r} is not lower-case words joined by dots")
        if row.name in self._rows:
            raise RunError(f"result name {row.name!r} is given twice")
        twin = self._by_axes.setdefault(_key(row.of), row)
        if twin is not row:
            raise RunError(f"result {row.name!r} is of the same as {twin.name!r}")
        self._rows[row.name] = row

    def __or__(self, other: "Estimates") -> "Estimates":
        """Those of both, each by its own name."""
        return Estimates(self.prefix, [*self.rows, *other.rows])

    @property
    def rows(self) -> list[Row]:
        return [*self._rows.values()]

    def of(self, **of: Any) -> Estimate:
        """Return the estimate of exactly these. Raises MissingNumber if there is none."""
        found = self.find(**of)
        if found is None:
            raise MissingNumber(self.name(**of))
        return found

    def find(self, **of: Any) -> Estimate | None:
        """Return the estimate of exactly these, or None."""
        row = self._by_axes.get(_key(_known(of)))
        return None if row is None else row.estimate

    def where(self, **of: Any) -> "Estimates":
        """Return those that are of these, whatever else they are of."""
        wanted = _known(of).items()
        return Estimates(self.prefix, (row for row in self.rows if wanted <= row.of.items()))

    def along(self, axis: str, **of: Any) -> dict[Any, Estimate]:
        """Return those that are of these and a value of `axis`, and of nothing else, by it.

        Raises MissingNumber if there is none.
        """
        found = {
            row.of[axis]: row.estimate
            for row in self.where(**of).rows
            if row.of.keys() == {*_known(of), axis}
        }
        if not found:
            raise MissingNumber(f"{self.name(**of)} by {axis}")
        return found

    def each(self, axis: str) -> list[Any]:
        """List the values that there are on an axis, in order."""
        return [*dict.fromkeys(row.of[axis] for row in self.rows if axis in row.of)]

    def __getitem__(self, name: str) -> Estimate:
        return self._rows[name].estimate

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


def cell(group: Any, asked: Any) -> dict[str, Value]:
    """The axes of facts of a group that are asked in a direction, or else in an order."""
    return {"group": group, "order" if asked in ORDERS else "direction": asked}


def _known(of: Mapping[str, Any]) -> dict[str, Value]:
    """Those axes that have a value, numbers of a table as Python's own. Raises RunError for an axis
    that there is not: looked for under it, a number would be missing without a word."""
    unknown = of.keys() - set(AXES)
    if unknown:
        raise RunError(f"no axis {min(unknown)!r} of estimates; add it to AXES")
    return {
        axis: value.item() if hasattr(value, "item") else value
        for axis, value in of.items()
        if value is not None
    }


def _key(of: Mapping[str, Value]) -> frozenset[tuple[str, Value]]:
    return frozenset(of.items())


def estimates_table(measured: Mapping[str, Estimates]) -> "pd.DataFrame":
    """Lay the estimates of all measures out in one long table: `measure`, AXES, and the numbers."""
    import pandas as pd

    rows = [
        {"measure": kind, "name": row.name, **row.of, **row.estimate.as_dict()}
        for kind, estimates in measured.items()
        for row in estimates.rows
    ]
    columns = ["measure", "name", *AXES, "value", "low", "high", "n", "unit"]
    return pd.DataFrame(rows, columns=columns)
