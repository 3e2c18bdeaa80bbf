"""What a killed process left is deleted by who writes there next; a living one's stays."""

import signal
import subprocess
import sys

import pytest

from interp_rc.records import leftovers
from interp_rc.records.files import replacing_folder, write_text
from interp_rc.records.leftovers import sweep_temporary

HALF = """
import sys, time
from pathlib import Path
from interp_rc.records.files import replacing, replacing_folder
from interp_rc.records.signals import end_tidily
end_tidily()
place = Path(sys.argv[1])
with replacing_folder(place / "model") as folder, replacing(place / "a") as file:
    (folder / "weights").write_text("half")
    file.write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def writing(tmp_path):
    """A process in the middle of writing a file and a folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HALF, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "writing\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def halves(folder):
    return sorted(path.name.split(".")[1] for path in folder.glob(".*.part"))


def write_both(folder):
    write_text(folder / "a", "whole")
    with replacing_folder(folder / "model") as new:
        (new / "weights").write_text("whole")


@pytest.mark.parametrize("sweep", [True, False])
def test_only_what_a_dead_process_left_is_deleted(writing, tmp_path, sweep):
    delete = sweep_temporary if sweep else write_both
    delete(tmp_path)
    assert halves(tmp_path) == ["a", "model"]  # it is alive
    writing.kill()
    writing.wait()
    assert halves(tmp_path) == ["a", "model"]
    delete(tmp_path)
    assert halves(tmp_path) == []


def test_what_is_left_of_other_names_is_theirs_to_delete(tmp_path):
    (tmp_path / ".b.x.part").touch()
    (tmp_path / ".model-2.x.old").mkdir()
    write_both(tmp_path)
    assert halves(tmp_path) == ["b"]
    sweep_temporary(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "model"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_who_is_asked_to_end_leaves_nothing(writing, tmp_path, number):
    writing.send_signal(number)
    assert writing.wait(10) == 128 + number
    assert list(tmp_path.iterdir()) == []


def test_a_temporary_that_was_taken_for_left_over_is_made_again(tmp_path, monkeypatch):
    """Between its making and its lock, another process may delete it."""
    held, count = leftovers._held, iter(range(9))

    def once_deleted(path):
        if next(count) == 0:
            path.unlink()
        return held(path)

    monkeypatch.setattr(leftovers, "_held", once_deleted)
    write_text(tmp_path / "a", "whole")
    assert (tmp_path / "a").read_text() == "whole"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
