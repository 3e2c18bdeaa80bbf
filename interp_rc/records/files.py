"""Whole files or none: write to a temporary name, then rename. Readers that name file and line."""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from interp_rc.records.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it takes the place of `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield a new temporary folder beside `path`; on success it takes the place of `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        old = temporary.with_suffix(".old")
        if path.exists():
            path.replace(old)  # a kill between the two renames leaves the old folder beside
        temporary.replace(path)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sweep_temporary(folder: Path) -> None:
    """Delete what a killed process left of `replacing` and `replacing_folder` below a folder."""
    for left in [*folder.rglob(".*.part"), *folder.rglob(".*.old")]:
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Strict JSON: NaN and infinities are refused, keys keep their order."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def write_yaml(path: Path, value: Any) -> None:
    write_text(path, yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100))


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as out:
        for row in rows:
            out.write(json.dumps(row, allow_nan=False, ensure_ascii=False) + "\n")


def write_parquet(path: Path, table: "pd.DataFrame") -> None:
    with replacing(path) as temporary:
        table.to_parquet(temporary, index=False)


def read_text(path: Path) -> str:
    """The text of a UTF-8 file; DataError names the file and line that cannot be read."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise _unreadable(error, path) from None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _not_utf8(error, path, raw.count(b"\n", 0, error.start) + 1) from None


def read_json(path: Path) -> Any:
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise DataError(f"not JSON ({error.msg})", file=path, line=error.lineno) from None


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line number, text) for each line that is not blank, one at a time: some files have
    hundreds of megabytes."""
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                try:
                    text = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
                except UnicodeDecodeError as error:
                    raise _not_utf8(error, path, number) from None
                if text.strip():
                    yield number, text
    except OSError as error:
        raise _unreadable(error, path) from None


def read_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, object) for each line that is not blank, one at a time."""
    for number, line in read_lines(path):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            message = f"not JSON ({error.msg}); each line must be one JSON object"
            raise DataError(message, file=path, line=number) from None
        if not isinstance(row, dict):
            message = f"found a {type(row).__name__}; each line must be one JSON object"
            raise DataError(message, file=path, line=number)
        yield number, row


def _not_utf8(error: UnicodeDecodeError, path: Path, line: int) -> DataError:
    byte = error.object[error.start]
    found = f"byte 0x{byte:02x} is not UTF-8; save the file as UTF-8"
    return DataError(found, file=path, line=line)


def _unreadable(error: OSError, path: Path) -> DataError:
    if isinstance(error, FileNotFoundError):
        return DataError("file not found; check the path", file=path)
    return DataError(f"cannot be read ({error.strerror})", file=path)
