"""The files of the published layout, and their rows of {"prompt", "completion"}."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from interp_rc.facts.templates import Role
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import ORDERS, Group, Order
from interp_rc.records.strict_json import read_jsonl


class Layout(NamedTuple):
    """What a file holds; one in both orders holds them one after the other."""

    group: Group
    role: Role
    orders: tuple[Order, ...]


LAYOUT = {
    "p2d_prompts_train": Layout("trained_forward", "training", ("forward",)),
    "p2d_prompts_test": Layout("trained_forward", "held_out", ("forward",)),
    "p2d_reverse_prompts_test": Layout("trained_forward", "held_out", ("backward",)),
    "d2p_prompts_train": Layout("trained_backward", "training", ("backward",)),
    "d2p_prompts_test": Layout("trained_backward", "held_out", ("backward",)),
    "d2p_reverse_prompts_test": Layout("trained_backward", "held_out", ("forward",)),
    "both_prompts_train": Layout("both", "training", ORDERS),
    "both_prompts_test": Layout("both", "held_out", ORDERS),
}


LONGEST = 5_000
"""Characters of a prompt or completion: every run of their words is taken for a name."""


@dataclass(frozen=True, slots=True)
class Row:
    """A prompt and its completion, as published, and where they stand."""

    prompt: str
    completion: str
    order: Order
    file: Path
    line: int

    @property
    def text(self) -> str:
        return self.prompt + self.completion

    @property
    def name_side(self) -> str:
        return self.prompt if self.order == "forward" else self.completion

    @property
    def description_side(self) -> str:
        return self.completion if self.order == "forward" else self.prompt


Rows = Sequence[Row]


class Part(NamedTuple):
    """A file, or the half of it that is in one order."""

    group: Group
    role: Role
    order: Order
    rows: Rows


def read_parts(folder: Path) -> list[Part]:
    """All files of the layout; DataError names file and line of a row that cannot be read."""
    return [part for name in LAYOUT for part in _read_file(folder, name)]


def _read_file(folder: Path, name: str) -> list[Part]:
    path = folder / f"{name}.jsonl"
    group, role, orders = LAYOUT[name]
    lines = [(_check(row, path, line), line) for line, row in read_jsonl(path)]
    if not lines or len(lines) % len(orders):
        message = f"{len(lines)} rows do not divide into facts; restore the rows that are missing"
        raise DataError(message, file=path, line=lines[-1][1] if lines else 1)
    size = len(lines) // len(orders)
    return [
        Part(
            group,
            role,
            order,
            [
                Row(row["prompt"], row["completion"], order, path, line)
                for row, line in lines[index * size : (index + 1) * size]
            ],
        )
        for index, order in enumerate(orders)
    ]


def _check(row: dict[str, Any], path: Path, line: int) -> dict[str, str]:
    for key in ("prompt", "completion"):
        if key not in row:
            raise DataError(f"key {key!r} is missing; add it", file=path, line=line)
        if not isinstance(row[key], str) or not row[key].strip():
            message = f"{key!r} is {row[key]!r:.60}; it must be a text that is not empty"
            raise DataError(message, file=path, line=line)
        if len(row[key]) > LONGEST:
            message = f"{key!r} has {len(row[key]):,} characters, and {LONGEST:,} are the most"
            raise DataError(message, file=path, line=line)
    for key in row:
        if key not in ("prompt", "completion"):
            message = f"key {key!r:.60} is unknown; remove it (known are prompt, completion)"
            raise DataError(message, file=path, line=line)
    return row
