"""What a killed process leaves half-written, told from what a living one is writing."""

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

if sys.platform != "win32":
    import fcntl


@contextlib.contextmanager
def temporary_beside(path: Path, make: Callable[[str, str, str], Path]) -> Iterator[Path]:
    """Yield what `make(suffix, prefix, folder)` makes beside `path`; it is deleted if it is still
    there at the end.

    What a killed process left of an earlier writing of `path` is deleted first. While this process
    lives it holds a lock on its own, which ends with it however it ends.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.name}."
    with contextlib.suppress(PermissionError), os.scandir(path.parent) as entries:
        for entry in entries:
            if entry.name.startswith(prefix) and entry.name.endswith((".part", ".old")):
                _delete_if_left(Path(entry.path))
    temporary, lock = _new(make, prefix, path.parent)
    try:
        yield temporary
    finally:
        _release(lock)
        _delete(temporary)


def _new(
    make: Callable[[str, str, str], Path], prefix: str, folder: Path
) -> tuple[Path, int | None]:
    """A temporary and the lock on it; again if another process took it for left over before."""
    while True:
        temporary = make(".part", prefix, str(folder))
        with contextlib.suppress(BlockingIOError):
            lock = _held(temporary)
            if temporary.exists():
                return temporary, lock
            _release(lock)


def sweep_temporary(folder: Path) -> None:
    """Delete what killed processes left half-written below a folder; a living one's stays."""
    for left in [*folder.rglob(".*.part"), *folder.rglob(".*.old")]:
        _delete_if_left(left)


def _delete_if_left(path: Path) -> None:
    try:
        lock = _held(path)
    except BlockingIOError:
        return
    _delete(path)
    _release(lock)


def _held(path: Path) -> int | None:
    """A lock on a file or folder; None where there are no such locks.

    Raises BlockingIOError if another process holds it.
    """
    if sys.platform == "win32":
        return None
    try:
        handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise
    except OSError:  # a file system without locks
        os.close(handle)
        return None
    return handle


def _release(lock: int | None) -> None:
    if lock is not None:
        os.close(lock)


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
