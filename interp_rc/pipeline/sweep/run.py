"""A sweep from its plan to its table and page; what is finished is never run again."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from filelock import FileLock, Timeout
from tqdm import tqdm

from interp_rc.models.machine import available_cores, choose_machine
from interp_rc.pipeline.sweep.plan import Plan, Trial
from interp_rc.pipeline.sweep.table import cells_table, results, specification, trials_table
from interp_rc.pipeline.sweep.workers import Pool
from interp_rc.records.disk import room_in
from interp_rc.records.errors import RunError
from interp_rc.records.files import write_json, write_parquet
from interp_rc.records.leftovers import sweep_temporary
from interp_rc.records.manifest import write_sealed_yaml
from interp_rc.records.sweeps import SEED, SweepRun
from interp_rc.report.sweep import write_sweep_report
from interp_rc.stats.over_seeds import estimates_by_cell

Say = Callable[[str], object]


def execute_sweep(plan: Plan, folder: Path, *, resume: bool = False, say: Say = print) -> SweepRun:
    """Run every trial of a sweep into `folder`, or those that are missing there.

    With `resume` the sweep may have changed: trials that are in both are kept. Raises RunError if
    the folder holds a sweep and `resume` is not given, if another process is at work in it, and,
    when all others are done and in the table, if trials failed.
    """
    sweep = SweepRun(folder)
    _check_folder(sweep, resume)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = FileLock(folder / ".lock")
        with lock.acquire(timeout=0), room_in(folder, "the sweep", "continue it with --resume"):
            faults = _run_missing(plan, sweep, say)
            _finish(plan, sweep, whole=not faults)
    except Timeout:
        raise RunError(f"another process is at work in {folder}; wait for it or stop it") from None
    if faults:
        raise RunError(_told(faults, sweep))
    return sweep


def _check_folder(sweep: SweepRun, resume: bool) -> None:
    folder = sweep.folder
    if sweep.sweep_file.is_file():
        if not resume:
            state = "a finished sweep" if sweep.finished else "an unfinished sweep"
            raise RunError(
                f"{folder} holds {state}; add --resume to continue it, or choose another --out"
            )
    elif folder.is_dir() and any(p for p in folder.iterdir() if p.name[0] != "."):
        raise RunError(f"{folder} holds other files; choose another --out")


def _run_missing(plan: Plan, sweep: SweepRun, say: Say) -> dict[str, str]:
    """Faults by trial, of those that failed."""
    sweep_temporary(sweep.folder)
    missing = [trial for trial in plan.trials if not sweep.trial(trial.id).finished]
    if missing:
        sweep.results_file.unlink(missing_ok=True)  # what is there is not the whole sweep
    write_sealed_yaml(sweep.sweep_file, specification(plan))
    total, there = len(plan.trials), len(plan.trials) - len(missing)
    if there:
        say(f"{there} of {total} runs are there already")
    pool = _pool(plan, sweep, missing)
    faults = {}
    with tqdm(
        total=total, initial=there, desc=plan.name, unit="run", disable=None, smoothing=0
    ) as bar:

        def tell(doing: list[str]) -> None:
            stages = Counter(text.removesuffix(" …") for text in doing)
            bar.set_postfix_str("; ".join(f"{n} × {stage}" for stage, n in stages.items()))

        with closing(pool.work(missing, tell)) as outcomes:
            for outcome in outcomes:
                bar.update()
                if outcome.fault is None:
                    continue
                faults[outcome.trial.id] = outcome.fault
                say(f"run {outcome.trial.id} failed: {outcome.fault}")
    return faults


def _pool(plan: Plan, sweep: SweepRun, trials: Sequence[Trial]) -> Pool:
    """One process a core, or one in all where there is an accelerator, unless told otherwise."""
    cores = available_cores()
    asked = plan.trials[0].config.machine
    alone = choose_machine(asked.device).device != "cpu"
    count = plan.sweep.workers or (1 if alone else cores)
    count = max(1, min(count, len(trials)))
    return Pool(sweep, count, threads=max(1, min(cores // count, 8)))


def _finish(plan: Plan, sweep: SweepRun, *, whole: bool) -> None:
    """Table, results and page; a sweep is finished if and only if its results.json exists."""
    table = trials_table(sweep, plan.trials)
    axes = [axis for axis in plan.trials[0].point if axis != SEED]
    cells = estimates_by_cell(table, axes)
    for file in (sweep.trials_file, sweep.results_file):
        sweep.manifest.forget(file.name)
    write_parquet(sweep.trials_file, table)
    write_parquet(sweep.cells_file, cells_table(cells, axes))
    sweep.manifest.record(sweep.trials_file.name, sweep.cells_file)
    if not table.empty:
        write_sweep_report(sweep)
    if whole:
        found = results(cells, axes)
        write_json(sweep.results_file, {name: e.as_dict() for name, e in found.items()})
        sweep.manifest.record(sweep.results_file.name)


def _told(faults: dict[str, str], sweep: SweepRun) -> str:
    lines = [f"run {trial} failed: {fault}" for trial, fault in faults.items()]
    count = f"{len(lines)} run{'s' if len(lines) > 1 else ''}"
    lines.append(
        f"{count} of {sweep.folder} failed; the others are in its table. --resume tries again; "
        "leave what cannot work out of the sweep"
    )
    return "\n".join(lines)
