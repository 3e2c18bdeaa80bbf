"""Bytes, text and lines of regular files, within bounds; DataError names file and line."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from interp_rc.records.errors import DataError

MOST_BYTES = 2**28
"""Of a file that is read whole."""
MOST_BYTES_A_LINE = 2**26
NOT_FILES = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file for reading: pipes and devices may never end, or never begin.

    Raises DataError for what is no such file or cannot be read.
    """
    kind = kind_of(path)
    if kind is not None and kind != stat.S_IFREG:
        what = NOT_FILES.get(kind, "no regular file")
        raise DataError(f"cannot be read (is {what}); give the path of a file", file=path)
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise _unreadable(error, path) from None


def kind_of(path: Path) -> int | None:
    """The kind of file that stands at a path, as `stat` has it; None where nothing can be seen.

    Raises DataError for what no file system takes for a path.
    """
    try:
        return stat.S_IFMT(path.stat().st_mode)
    except OSError:
        return None
    except ValueError:  # a NUL, or half of a surrogate pair
        raise DataError(
            "is no path (it holds a character that no path has); check it", file=repr(str(path))
        ) from None


def read_bytes(path: Path, most: int = MOST_BYTES) -> bytes:
    """Read a whole regular file of at most `most` bytes; DataError for any other."""
    with opened(path) as file:
        large = os.fstat(file.fileno()).st_size > most
        raw = b"" if large else file.read(most + 1)  # files of /proc say that they are empty
    if large or len(raw) > most:
        raise DataError(
            f"has more than {most:,} bytes, the most that is read; give a smaller file", file=path
        )
    return raw


def read_text(path: Path, most: int = MOST_BYTES) -> str:
    """Read a whole UTF-8 file of at most `most` bytes, without its byte-order mark.

    Raises DataError naming the file and the line that cannot be read.
    """
    raw = read_bytes(path, most)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _not_utf8(error, path, raw.count(b"\n", 0, error.start) + 1) from None


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line number, text) for each line that is not blank, one at a time: some files have
    hundreds of megabytes.

    Raises DataError for what is not UTF-8 and for a line that does not end within
    `MOST_BYTES_A_LINE`.
    """
    with opened(path) as file:
        for number, raw in enumerate(iter(lambda: file.readline(MOST_BYTES_A_LINE + 1), b""), 1):
            if len(raw) > MOST_BYTES_A_LINE:
                raise DataError(
                    f"this line has more than {MOST_BYTES_A_LINE:,} bytes, the most that is read",
                    file=path,
                    line=number,
                )
            try:
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise _not_utf8(error, path, number) from None
            if text.strip():
                yield number, text


def lone_surrogate(text: str) -> bool:
    """Whether a text holds half of a surrogate pair, which no file and no table can hold."""
    return any("\ud800" <= character <= "\udfff" for character in text)


def _not_utf8(error: UnicodeDecodeError, path: Path, line: int) -> DataError:
    byte = error.object[error.start]
    return DataError(
        f"byte 0x{byte:02x} is not UTF-8; save the file as UTF-8", file=path, line=line
    )


def _unreadable(error: OSError, path: Path) -> DataError:
    if isinstance(error, FileNotFoundError):
        return DataError("file not found; check the path", file=path)
    return DataError(f"cannot be read ({error.strerror})", file=path)
