"""A sweep ends with the same table whatever is killed; failures are told and cost nothing else.

`INTERP_RC_SWEEP_KILLS=5` kills five times in a sweep of 24 runs instead of twice in one of two.
"""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time

import pandas as pd
import pytest
from filelock import FileLock

from interp_rc.pipeline.run import execute
from interp_rc.pipeline.sweep import workers
from interp_rc.pipeline.sweep.plan import load_plan
from interp_rc.pipeline.sweep.run import execute_sweep
from interp_rc.records.errors import RunError
from interp_rc.records.sweeps import SweepRun

KILLS = int(os.environ.get("INTERP_RC_SWEEP_KILLS", "2"))
RATES = [round(0.001 * (i + 1), 3) for i in range(1 if KILLS == 2 else 12)]


def quiet(_):
    pass


@pytest.fixture
def plan(tiny):
    return load_plan(tiny(("[1.0e-3, 1.0e-2]", str(RATES))), ["sweep.workers=2"])


@pytest.fixture
def undisturbed(plan, tmp_path):
    """One run after the other in this process, without the sweep's own machinery."""
    return {
        trial.id: execute(trial.config, tmp_path / "alone" / trial.id, threads=1, say=quiet)
        for trial in plan.trials
    }


def kill_a_worker(sweep, seconds):
    """SIGKILL to a process that works on a trial, `seconds` after it began."""
    while not any(sweep.logs.glob("*.log")):
        time.sleep(0.01)
    time.sleep(seconds)
    for process in multiprocessing.active_children():
        if "ForkServerProcess" in type(process).__name__ and process.pid:
            os.kill(process.pid, signal.SIGKILL)
            return


def start_driver(file, folder):
    command = "from interp_rc.cli import main; main()"
    sets = ["--set", f"sweep.grid.training.learning_rate={RATES}", "--set", "sweep.workers=2"]
    options = ["run", str(file), *sets, "--out", str(folder), "--resume"]
    return subprocess.Popen(
        [sys.executable, "-c", command, *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.slow
def test_a_sweep_whose_processes_are_killed_ends_with_the_same_table(
    plan, undisturbed, tiny, tmp_path
):
    """The driver once in three times, a worker else."""
    draw = random.Random(0)
    sweep = SweepRun(tmp_path / "sweep")
    file = tiny()
    for kill in range(KILLS - 1):
        driver = start_driver(file, sweep.folder)
        wanted = 1 + kill * len(plan.trials) // (2 * KILLS)
        while sum(sweep.trial(t.id).config_file.is_file() for t in plan.trials) < wanted:
            assert driver.poll() is None
            time.sleep(0.02)
        time.sleep(draw.random())
        driver.kill()
        driver.wait()
    killer = threading.Thread(target=kill_a_worker, args=(sweep, draw.random()))
    killer.start()
    execute_sweep(plan, sweep.folder, resume=True, say=quiet)
    killer.join()

    expected = [
        (trial.id, *trial.point.values(), name, e.value, e.low, e.high, e.n, e.unit)
        for trial in plan.trials
        for name, e in undisturbed[trial.id].results().items()
    ]
    found = sweep.table()
    pd.testing.assert_frame_equal(
        found, pd.DataFrame(expected, columns=found.columns).astype(found.dtypes.to_dict())
    )
    assert sweep.finished
    assert sweep.report_file.is_file()


@pytest.mark.slow
def test_a_trial_that_fails_is_told_and_the_others_are_kept(tiny, tmp_path):
    """There are no 999 templates to tell people in."""
    axis = ("training.learning_rate: [1.0e-3, 1.0e-2]", "facts.training_templates: [3, {}]")
    plan = load_plan(tiny((axis[0], axis[1].format(999))), ["seed=0"])
    with pytest.raises(RunError) as caught:
        execute_sweep(plan, tmp_path / "sweep", say=quiet)
    sweep = SweepRun(tmp_path / "sweep")
    bad = plan.trials[1].id
    assert f"run {bad} failed: 999 training and 3 held-out templates" in str(caught.value)
    assert not sweep.finished
    assert set(sweep.table().trial) == {plan.trials[0].id}
    assert "1 of 2 runs are not in these numbers" in sweep.report_file.read_text()

    better = load_plan(tiny((axis[0], axis[1].format(4))), ["seed=0"])
    before = sweep.trial(plan.trials[0].id).results_file.stat().st_mtime_ns
    said = []
    execute_sweep(better, tmp_path / "sweep", resume=True, say=said.append)
    assert said == ["1 of 2 runs are there already"]
    assert sweep.finished
    assert set(sweep.table().trial) == {trial.id for trial in better.trials}
    assert sweep.trial(plan.trials[0].id).results_file.stat().st_mtime_ns == before


@pytest.mark.slow
def test_a_process_that_is_killed_each_time_is_given_up(tiny, tmp_path, monkeypatch):
    plan = load_plan(tiny(), ["seed=0", "training.learning_rate=0.01", "sweep.grid.seed=[3]"])
    monkeypatch.setattr(workers, "_run", _die)
    with pytest.raises(RunError, match=r"killed 5 times \(by signal 9\); is there enough memory"):
        execute_sweep(plan, tmp_path / "sweep", say=quiet)


def _die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def test_folders_that_hold_something_else_are_refused(tiny, tmp_path):
    plan = load_plan(tiny())
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine")
    with pytest.raises(RunError, match="holds other files"):
        execute_sweep(plan, tmp_path / "other")
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "sweep.yaml").write_text("name: old\n")
    with pytest.raises(RunError, match="an unfinished sweep; add --resume"):
        execute_sweep(plan, tmp_path / "sweep")
    with (
        FileLock(tmp_path / "sweep" / ".lock"),
        pytest.raises(RunError, match="another process is at work"),
    ):
        execute_sweep(plan, tmp_path / "sweep", resume=True)
