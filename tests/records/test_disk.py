"""Every library's word for a full disk is known; other faults stay what they are."""

import errno
import sqlite3

import pytest

from interp_rc.records.disk import check_room, is_full, room_in
from interp_rc.records.errors import DataError, RunError

FULL = [
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EDQUOT, "Disk quota exceeded"),
    OSError(errno.EFBIG, "File too large"),
    OSError("[Errno 28] Error writing bytes to file. Detail: [errno 28] No space left on device"),
    sqlite3.OperationalError("database or disk is full"),
    Exception("Error while serializing: I/O error: No space left on device (os error 28)"),
    RuntimeError("[enforce fail at inline_container.cc:783] . PytorchStreamWriter failed writing"),
    RuntimeError("[enforce fail at inline_container.cc:668] . unexpected pos 384 vs 278"),
    ExceptionGroup("workers", [ValueError(), OSError(errno.ENOSPC, "x")]),
]


@pytest.mark.parametrize("error", FULL, ids=range(len(FULL)))
def test_full(error, tmp_path):
    assert is_full(error)
    told = pytest.raises(RunError, match=r"no space is left for the run in .* MiB free.*--resume")
    with told, room_in(tmp_path, "the run", "continue it with --resume"):
        raise error


def test_what_lies_behind_an_error():
    error = RuntimeError("could not be written")
    assert not is_full(error)
    error.__cause__ = ValueError("x")
    error.__cause__.__context__ = OSError(errno.ENOSPC, "x")
    assert is_full(error)


@pytest.mark.parametrize(
    "error", [OSError(errno.EACCES, "x"), RuntimeError("x"), DataError("No space left on device")]
)
def test_others_stay_what_they_are(error, tmp_path):
    with pytest.raises(type(error)), room_in(tmp_path, "the run", ""):
        raise error


def test_what_does_not_fit_is_not_begun(tmp_path):
    check_room(tmp_path / "not" / "there", 1, "training")
    with pytest.raises(RunError, match=r"training needs .* MiB in .* are free; it was not begun"):
        check_room(tmp_path / "not" / "there", 2**60, "training")
