"""Only regular files are read, and no more of them than is sensible."""

import os
import socket
import stat
import time

import pytest

from interp_rc.records import reading
from interp_rc.records.errors import DataError
from interp_rc.records.reading import kind_of, lone_surrogate, read_bytes, read_lines, read_text


@pytest.mark.parametrize("read", [read_text, read_bytes, lambda path: list(read_lines(path))])
@pytest.mark.timeout(10)
def test_what_never_ends_or_is_no_file_is_refused(tmp_path, read):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
    places = {
        tmp_path / "pipe": "is a pipe",
        tmp_path / "s": "is a socket",
        tmp_path: "is a folder",
        reading.Path("/dev/zero"): "is a device",
        tmp_path / "loop": "levels of symbolic links",
        tmp_path / ("x" * 300): "name too long",
        tmp_path / "gone": "file not found",
    }
    for path, words in places.items():
        with pytest.raises(DataError, match=words):
            read(path)
    for path in (tmp_path / "a\0b", tmp_path / "\ud800"):
        with pytest.raises(DataError, match="is no path"):
            read(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path):
    (tmp_path / "x").touch(0)
    with pytest.raises(DataError, match=r"cannot be read \(Permission"):
        read_text(tmp_path / "x")


def test_bounds_on_files_and_lines(tmp_path, monkeypatch):
    path = tmp_path / "x"
    path.write_bytes(b"ab\n" + b"c" * 20)
    assert read_bytes(path, 23) == path.read_bytes()
    with pytest.raises(DataError, match="more than 22 bytes"):
        read_text(path, 22)
    monkeypatch.setattr(reading, "MOST_BYTES_A_LINE", 20)
    assert list(read_lines(path)) == [(1, "ab"), (2, "c" * 20)]
    monkeypatch.setattr(reading, "MOST_BYTES_A_LINE", 19)
    with pytest.raises(DataError, match=r"x:2: this line has more than 19 bytes"):
        list(read_lines(path))


def test_a_sparse_file_of_a_terabyte_is_refused_at_once(tmp_path):
    with (tmp_path / "x").open("wb") as out:
        out.truncate(2**40)
    with pytest.raises(DataError, match="more than 1,000 bytes"):
        read_text(tmp_path / "x", 1_000)
    before = time.process_time()
    with pytest.raises(DataError, match="more than 268,435,456 bytes"):
        read_bytes(tmp_path / "x")
    assert time.process_time() - before < 0.1
    with pytest.raises(DataError, match="x:1: this line has more than"):
        next(read_lines(tmp_path / "x"))


def test_kinds(tmp_path):
    assert kind_of(tmp_path) == stat.S_IFDIR
    assert kind_of(tmp_path / "gone") is None


def test_lone_surrogates():
    assert lone_surrogate("a\ud83d")
    assert not lone_surrogate("a\U0001f469")
