"""JSON as its standard has it: finite numbers, keys once, whole characters, bounded depth."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from interp_rc.records.errors import DataError
from interp_rc.records.reading import lone_surrogate, read_lines, read_text

MOST_DEEP = 64
MOST_DIGITS = 400
"""Of a number as it is written."""
WHOLE_NUMBERS = range(-(2**63), 2**63)
"""What a column of a table can hold."""
ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class _Refused(ValueError):
    """What Python's reader takes and we do not."""


def parse_json(text: str, *, file: object = None, line: int | None = None, wanted: str = "") -> Any:
    """Parse a JSON text whose place is `file` and `line` (None: the line of the fault).

    Raises DataError, which says what was `wanted`, for what is not JSON, NaN and infinities, whole
    numbers of more than 64 bits, keys that come twice, half of a surrogate pair, and more than
    `MOST_DEEP` levels.
    """
    try:
        value = _PARSE(text)
        if text.count("[") + text.count("{") > MOST_DEEP:
            _check_depth(value)
        if ESCAPED_SURROGATE.search(text):
            _check_characters(value)
    except json.JSONDecodeError as error:
        line = error.lineno if line is None else line
        raise DataError(f"not JSON ({error.msg}){wanted}", file=file, line=line) from None
    except _Refused as error:
        raise DataError(
            f"not JSON that can be used ({error}){wanted}", file=file, line=line
        ) from None
    except RecursionError:
        raise DataError(
            f"not JSON that can be used (nested more than {MOST_DEEP} deep){wanted}",
            file=file,
            line=line,
        ) from None
    return value


def read_json(path: Path) -> Any:
    """Read a file that is one JSON value. Raises DataError as `parse_json` and `read_text` do."""
    return parse_json(read_text(path), file=path)


def read_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, object) for each line that is not blank, one at a time.

    Raises DataError as `parse_json` and `read_lines` do, and for a line that is no object.
    """
    for number, line in read_lines(path):
        row = parse_json(line, file=path, line=number, wanted="; each line must be one JSON object")
        if not isinstance(row, dict):
            message = f"found a {type(row).__name__}; each line must be one JSON object"
            raise DataError(message, file=path, line=number)
        yield number, row


def json_text(value: Any, indent: int | None = None) -> str:
    """Write a value as JSON that `parse_json` reads back; what is no number (NaN) or not finite
    becomes null. Keys keep their order."""
    try:
        return json.dumps(value, indent=indent, allow_nan=False, ensure_ascii=False)
    except ValueError:
        return json.dumps(_finite(value), indent=indent, allow_nan=False, ensure_ascii=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value


def _whole(digits: str) -> int:
    value = int(digits) if len(digits) <= MOST_DIGITS else None
    if value is None or value not in WHOLE_NUMBERS:
        raise _Refused(f"the number {digits:.30} has more than 64 bits")
    return value


def _real(digits: str) -> float:
    value = float(digits) if len(digits) <= MOST_DIGITS else math.inf
    if not math.isfinite(value):
        raise _Refused(f"the number {digits:.30} is too long or too large")
    return value


def _constant(name: str) -> float:
    raise _Refused(f"{name} is no JSON number; write null where there is none")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        doubled = next(key for index, key in enumerate(keys) if key in keys[:index])
        raise _Refused(f"key {doubled!r:.60} stands twice")
    return found


_PARSE = json.JSONDecoder(
    parse_int=_whole, parse_float=_real, parse_constant=_constant, object_pairs_hook=_once
).decode


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MOST_DEEP):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return
    raise _Refused(f"nested more than {MOST_DEEP} deep")


def _check_characters(value: Any) -> None:
    if isinstance(value, str):
        if lone_surrogate(value):
            raise _Refused(f"the text {value!r:.60} holds half of a surrogate pair; write whole "
                           "characters")  # fmt: skip
    elif isinstance(value, list):
        for inner in value:
            _check_characters(inner)
    elif isinstance(value, dict):
        for key, inner in value.items():
            _check_characters(key)
            _check_characters(inner)
