"""Whole files or none: write to a temporary name, then rename."""

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interp_rc.records.errors import DataError
from interp_rc.records.leftovers import temporary_beside
from interp_rc.records.reading import NOT_FILES, kind_of
from interp_rc.records.strict_json import json_text
from interp_rc.records.strict_yaml import yaml_text

if TYPE_CHECKING:
    import pandas as pd


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it takes the place of `path`.

    Raises DataError where a folder, a device or a pipe stands: renaming would replace it.
    """
    kind = kind_of(path)
    if kind not in (None, stat.S_IFREG):
        what = NOT_FILES.get(kind or 0, "no regular file")
        raise DataError(f"is {what}; give the path of a file to write", file=path)
    with temporary_beside(path, _new_file) as temporary:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)


@contextlib.contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield a new temporary folder beside `path`; on success it takes the place of `path`."""
    with temporary_beside(path, _new_folder) as temporary:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        old = temporary.with_suffix(".old")
        if path.exists():
            path.replace(old)  # a kill between the two renames leaves the old folder beside
        temporary.replace(path)
        shutil.rmtree(old, ignore_errors=True)


def _new_file(suffix: str, prefix: str, folder: str) -> Path:
    handle, file = tempfile.mkstemp(suffix, prefix, folder)
    os.close(handle)
    return Path(file)


def _new_folder(suffix: str, prefix: str, folder: str) -> Path:
    return Path(tempfile.mkdtemp(suffix, prefix, folder))


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Strict JSON: null for NaN and infinities, keys keep their order."""
    write_text(path, json_text(value, indent=2) + "\n")


def write_yaml(path: Path, value: Any) -> None:
    write_text(path, yaml_text(value))


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as out:
        for row in rows:
            out.write(json_text(row) + "\n")


def write_parquet(path: Path, table: "pd.DataFrame") -> None:
    # A file and not its path: pyarrow takes no path that is not UTF-8.
    with replacing(path) as temporary, temporary.open("wb") as out:
        table.to_parquet(out, index=False)
