"""What the settings of a sweep are called: by what tells them apart, and by number where that is
too long for a figure."""

from collections.abc import Sequence

from interp_rc.records.sweeps import Cells, text_of

LONG = 24
"""Characters that an axis of a figure has room for at a tick."""


def told_apart(cells: Cells) -> Cells:
    """The same cells; texts of mappings without what is the same in all values of their axis."""
    if not cells:
        return cells
    columns = [_differing(column) for column in zip(*cells, strict=True)]
    names = zip(*columns, strict=True) if columns else cells
    return dict(zip(names, cells.values(), strict=True))


def _differing(values: Sequence[object]) -> Sequence[object]:
    if len(set(values)) == 1 or not all(isinstance(value, str) for value in values):
        return values
    parts = [str(value).split(", ") for value in values]
    shared = set(parts[0]).intersection(*parts)
    kept = [", ".join(part for part in some if part not in shared) for some in parts]
    clear = all(kept) and len(set(kept)) == len(set(values))
    return [one.replace("_", " ") for one in kept] if clear else values


def ticks(values: Sequence[object]) -> list[str]:
    """A tick's label for each value of an axis: its number, from 1, if a text is too long."""
    if not _too_long(values):
        return [text_of(value) for value in values]
    return [str(number) for number, _ in enumerate(values, 1)]


def named(values: Sequence[object]) -> dict[object, str]:
    """The text of each value in a table, with its number where the ticks have only that."""
    long = _too_long(values)
    return {
        value: f"{tick}: {text_of(value)}" if long else tick
        for value, tick in zip(values, ticks(values), strict=True)
    }


def numbering(*axes: Sequence[object]) -> str:
    """What a figure's caption says if a tick of one of its axes is a number instead of a text."""
    return " Settings are numbered as in the table below." if any(map(_too_long, axes)) else ""


def _too_long(values: Sequence[object]) -> bool:
    return max(len(text_of(value)) for value in values) > LONG
