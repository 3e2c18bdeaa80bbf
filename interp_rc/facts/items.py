"""Files of JSON lines, each line one of our nouns, checked key by key."""

from collections.abc import Collection, Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from interp_rc.facts.validate import Place
from interp_rc.records.errors import DataError
from interp_rc.records.files import read_jsonl
from interp_rc.records.nouns import Span, Spans

REBUILD = "or write the file again"


def read_items(
    path: Path, kind: type, optional: Collection[str] = ()
) -> Iterator[tuple[Any, Place]]:
    """Each line as an item of the dataclass `kind`, and where it stands.

    Equal lists of candidates become one list: most are much repeated. Raises DataError, naming
    file and line, for what is not a JSON object or has a key that is missing (and not
    `optional`), unknown or of the wrong type.
    """
    hints = get_type_hints(kind)
    shared: dict[tuple[str, ...], list[str]] = {}
    for number, row in read_jsonl(path):
        place = Place(path, number)
        _check_keys(row, hints, place, optional)
        if "candidates" in row:
            row["candidates"] = shared.setdefault(tuple(row["candidates"]), row["candidates"])
        if "spans" in row:
            row["spans"] = {name: [Span(*span) for span in row["spans"][name]]
                            for name in row["spans"]}  # fmt: skip
        try:
            yield kind(**row), place
        except DataError as error:
            raise DataError(str(error), file=path, line=number) from None


def _check_keys(
    row: dict[str, Any], hints: dict[str, Any], place: Place, optional: Collection[str]
) -> None:
    for name in hints:
        if name not in row and name not in optional:
            message = f"key {name!r} is missing; add it {REBUILD}"
            raise DataError(message, file=place.file, line=place.line)
    for name, value in row.items():
        if name not in hints:
            message = f"key {name!r} is unknown; remove it (known are {', '.join(hints)})"
            raise DataError(message, file=place.file, line=place.line)
        expected = _mismatch(hints[name], value)
        if expected:
            found = repr(value) if len(repr(value)) < 60 else f"a {type(value).__name__}"
            message = f"{name!r} must be {expected}; found {found}; correct it {REBUILD}"
            raise DataError(message, file=place.file, line=place.line)


def _mismatch(hint: Any, value: Any) -> str | None:
    """What a value of this type looks like, if this one does not."""
    if get_origin(hint) in (Union, UnionType):  # X | None
        inner = next(option for option in get_args(hint) if option is not type(None))
        return None if value is None else _mismatch(inner, value)
    if get_origin(hint) is Literal:
        return None if value in get_args(hint) else "one of " + ", ".join(get_args(hint))
    if hint is str:
        return None if _is_text(value) else "a text that is not empty"
    if hint is bool:
        return None if isinstance(value, bool) else "true or false"
    if hint == list[str]:
        right = isinstance(value, list) and value and all(map(_is_text, value))
        return None if right else "a list of texts that are not empty"
    if hint == Spans:
        right = isinstance(value, dict) and all(map(_is_span_list, value.values()))
        return None if right else "lists of [start, end] by the name of what they cover"
    raise TypeError(f"no rule for {hint}")  # a noun got a field of a new type


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value) and not value.isspace()


def _is_span_list(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(span, list) and [type(end) for end in span] == [int, int] for span in value
    )
