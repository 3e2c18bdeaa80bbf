"""A disk that is full at any moment: one line that says so, and afterwards the same numbers."""

import contextlib
import subprocess
import textwrap

import pytest

from interp_rc.pipeline.config import validate
from interp_rc.pipeline.experiment_file import read_experiment
from interp_rc.pipeline.run import execute
from interp_rc.records.errors import RunError
from tests.pipeline.sweep.conftest import TINY

SIZES = {"run": (120, 500), "cache": (20, 50)}
"""KiB; a checkpoint has some 300, the cache some 57."""


@contextlib.contextmanager
def disk(folder, size):
    """A file system of so many KiB."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root mounts file systems")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def enlarge(folder):
    subprocess.run(["mount", "-o", "remount,size=64m", str(folder)], check=True)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    file = tmp_path_factory.mktemp("tiny") / "tiny.yaml"
    file.write_text(textwrap.dedent(TINY))
    sets = ["sweep=null", "training.checkpoint_steps=1", "machine.threads=1"]
    experiment = read_experiment(file, sets)
    return validate(experiment.data, experiment.source)


@pytest.fixture(scope="module")
def undisturbed(config, tmp_path_factory):
    return execute(config, tmp_path_factory.mktemp("undisturbed") / "run", say=str)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["run", "cache"])
def test_a_full_disk_is_said_and_a_larger_one_ends_with_the_same_numbers(
    config, undisturbed, tmp_path, monkeypatch, place
):
    told = []
    for size in SIZES[place]:
        with disk(tmp_path / f"disk-{size}", size) as small:
            cache = small if place == "cache" else tmp_path / f"cache-{size}"
            monkeypatch.setenv("INTERP_RC_CACHE", str(cache))
            folder = (small if place == "run" else tmp_path / f"other-{size}") / "run"
            try:
                execute(config, folder, say=str)
            except RunError as error:
                told.append(str(error))
            enlarge(small)
            run = execute(config, folder, resume=True, say=str)
            for file in ("results_file", "tests_file", "verdicts_file"):
                same = getattr(run, file).read_bytes() == getattr(undisturbed, file).read_bytes()
                assert same, (file, size)
            assert not [path for path in small.rglob("*") if path.suffix == ".part"]
    assert len(told) == len(SIZES[place])
    for message in told:
        assert f" in {tmp_path / 'disk-'}" in message
        assert "MiB" in message
        assert "continue" in message or "it was not begun" in message
