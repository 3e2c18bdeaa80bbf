"""Files of JSON lines, each line one of our nouns, checked key by key."""

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Protocol, TypeVar, Union, get_args, get_origin, get_type_hints

from interp_rc.facts.validate import Place
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import Span, Spans, line_id
from interp_rc.records.strict_json import read_jsonl

REBUILD = "or write the file again"


Row = dict[str, Any]


class Named(Protocol):
    """A noun that people write by hand, one a line, and that knows its line for its messages."""

    @property
    def id(self) -> str: ...


Item = TypeVar("Item", bound=Named)


def read_lines(
    path: Path,
    kind: type[Item],
    what: str,
    optional: Collection[str],
    check: Callable[[Item], str | None] = lambda _: None,
) -> list[Item]:
    """All items of a file that people write: ids are `line N` unless they are given.

    `fact` is the id, and `order` null, where they are left out. `check` says what is wrong with an
    item, if anything is. Raises DataError as `read_items` does, for that, for ids that come twice
    and for a file that holds none.
    """
    items: dict[str, Item] = {}
    for item, place in read_items(path, kind, optional, _with_id):
        fault = "its id comes twice" if item.id in items else check(item)
        if fault:
            message = f"{what.removesuffix('s')} {item.id!r}: {fault}; correct it"
            raise DataError(message, file=place.file, line=place.line)
        items[item.id] = item
    if not items:
        raise DataError(f"holds no {what}; write one JSON object a line", file=path)
    return list(items.values())


def _with_id(row: Row, number: int) -> Row:
    id = row.get("id", line_id(number))
    return {"id": id, "fact": id, "order": None} | row | {"line": number}


def read_items(
    path: Path,
    kind: type,
    optional: Collection[str] = (),
    fill: Callable[[Row, int], Row] = lambda row, _: row,
) -> Iterator[tuple[Any, Place]]:
    """Each line as an item of the dataclass `kind`, and where it stands.

    `fill` adds to a line, with its number, what need not be written.

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
            yield kind(**fill(row, number)), place
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
    if hint is int:
        return None if type(value) is int else "a whole number"
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
