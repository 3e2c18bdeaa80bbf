"""What happens where a disk is full: said by one error, whichever library met it."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from interp_rc.records.errors import InterpError, RunError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
WORDS = (
    "no space left on device",
    "disk quota exceeded",
    "file too large",
    "database or disk is full",
    "os error 28",
    "os error 122",
    "os error 27",
)
# Torch's writer of archives does not say why a write failed.
TORCH = ("pytorchstreamwriter failed", "unexpected pos")
MIB = 2**20


def is_full(error: BaseException) -> bool:
    """Whether an error, or what lies behind it, says that a disk is full or a quota is used up."""
    seen: set[int] = set()
    left: list[BaseException | None] = [error]
    while left:
        one = left.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, OSError) and one.errno in FULL:
            return True
        text = str(one).lower()
        if any(word in text for word in WORDS):
            return True
        if isinstance(one, RuntimeError) and any(word in text for word in TORCH):
            return True
        left += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            left += one.exceptions
    return False


def free(folder: Path) -> int:
    """Bytes that are free where a folder is, or would be."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(there).free


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@contextmanager
def room_in(folder: Path, what: str, remedy: str) -> Iterator[None]:
    """Raise RunError in the place of whatever a library raises where the disk of `folder` is full.

    `what` is the folder's name for people, `remedy` what to do once there is space.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, InterpError) or not is_full(error):
            raise
        raise RunError(
            f"no space is left for {what} in {folder} ({free(folder) / MIB:,.1f} MiB free); what "
            f"was finished is kept: {remedy}"
        ) from error


def check_room(folder: Path, needed: int, what: str) -> None:
    """Raises RunError if `needed` bytes are not free where a folder is; `what` needs them."""
    there = free(folder)
    if needed > there:
        raise RunError(
            f"{what} needs {needed / MIB:,.1f} MiB in {folder}, where {there / MIB:,.1f} MiB are "
            "free; it was not begun: make space, or choose another place"
        )
