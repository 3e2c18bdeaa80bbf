"""However a sweep ends, none of its processes goes on, and nothing changes in its folder."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from interp_rc.pipeline.sweep import workers
from interp_rc.pipeline.sweep.plan import load_plan
from interp_rc.pipeline.sweep.run import execute_sweep
from interp_rc.records.sweeps import SweepRun
from tests.conftest import snapshot

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def of_session(session):
    """Processes of a session: id and what each was started with."""
    alive = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, sid, *_ = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(sid) == session and state != "Z":
                alive[int(entry.name)] = (entry / "cmdline").read_text()
        except OSError:
            continue
    return alive


def at_work(driver, logs):
    """Processes of the session that work on a trial: what they say goes into its log."""
    return {
        pid
        for pid in of_session(driver.pid)
        if os.path.realpath(f"/proc/{pid}/fd/1").startswith(str(logs))
    }


def wait_until(is_so, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def driver(tiny, tmp_path):
    """A sweep's driver in a session of its own, with a process that is at work on a trial."""
    command = "from interp_rc.cli import main; main()"
    out = ["--out", str(tmp_path / "sweep"), "--set", "training.epochs=2000"]
    process = subprocess.Popen(
        [sys.executable, "-c", command, "run", str(tiny()), *out, "--set", "sweep.workers=2"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_until(lambda: len(list((tmp_path / "sweep").glob("trials/*/base"))) == 2, 200)
    yield process
    for pid in of_session(process.pid):
        os.kill(pid, signal.SIGKILL)
    process.wait()
    process.stderr.close()


def end(driver, how):
    if how == "driver killed":
        driver.kill()
    elif how == "interrupted":
        os.killpg(driver.pid, signal.SIGINT)
    elif how == "asked to end":
        driver.terminate()
    return driver.wait(60)


@LINUX
@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "code", "told"),
    [
        ("driver killed", -signal.SIGKILL, ""),
        ("interrupted", 130, "interrupted; continue with --resume"),
        ("asked to end", 143, "asked to end, and ended; continue with --resume"),
    ],
)
def test_no_process_outlives_its_driver(driver, tmp_path, how, code, told):
    assert end(driver, how) == code
    wait_until(lambda: not at_work(driver, tmp_path / "sweep" / "logs"), 3.0)
    assert told in driver.stderr.read()
    before = snapshot(tmp_path / "sweep")
    time.sleep(0.5)
    assert snapshot(tmp_path / "sweep") == before
    if how != "driver killed":
        assert not [name for name in before if name.endswith(".part")]
    wait_until(lambda: not of_session(driver.pid))  # what has loaded much takes seconds to end


@LINUX
@pytest.mark.slow
def test_no_process_outlives_what_started_it(driver, tmp_path):
    """Its trial is continued in another process, which the first must not be in the way of."""
    workers_before = at_work(driver, tmp_path / "sweep" / "logs")
    assert len(workers_before) == 2
    stats = [Path(f"/proc/{pid}/stat").read_text() for pid in workers_before]
    [server] = {int(stat.rpartition(")")[2].split()[1]) for stat in stats}
    os.kill(server, signal.SIGKILL)
    logs = tmp_path / "sweep" / "logs"
    wait_until(lambda: not workers_before & at_work(driver, logs), 3.0)


def _at_work(trial, *_):
    if trial.point["seed"] == 0:
        raise SystemExit(1)
    time.sleep(60)


@pytest.mark.slow
def test_an_interruption_that_somebody_keeps_leaves_no_process(tiny, tmp_path, monkeypatch):
    """A notebook keeps the last exception, and with it all that its functions had."""
    plan = load_plan(tiny(), ["training.learning_rate=0.01", "sweep.workers=2"])
    monkeypatch.setattr(workers, "_run", _at_work)
    monkeypatch.setattr(workers, "DEATHS", 1)

    def say(text):
        if "failed" in text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as kept:
        execute_sweep(plan, tmp_path / "sweep", say=say)
    assert kept.value is not None
    assert [p for p in multiprocessing.active_children() if p.name.startswith("ForkServer")] == []
    assert not SweepRun(tmp_path / "sweep").finished
