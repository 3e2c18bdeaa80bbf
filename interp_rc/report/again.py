"""The page of whatever a folder holds, from its numbers."""

import logging
from pathlib import Path

from interp_rc.records.disk import room_in
from interp_rc.records.errors import RunError
from interp_rc.records.manifest import FILE
from interp_rc.records.runs import Run
from interp_rc.records.sweeps import SweepRun
from interp_rc.report.page import write_report
from interp_rc.report.sweep import write_sweep_report

log = logging.getLogger(__name__)

# A table that lacks columns, or facts that lack questions, fail wherever they are first used.
DAMAGED = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)


def write_again(folder: Path) -> Path:
    """The page's file. Raises RunError if the folder holds no finished run or sweep, or one whose
    files are not what was written."""
    sweep = SweepRun(folder)
    run: Run | SweepRun = sweep if sweep.sweep_file.is_file() else Run.open(folder)
    if not run.manifest.there:
        log.warning("%s has no %s: whether its files are whole is not known", folder, FILE)
    with room_in(folder, "the page", "make space and draw it again"):
        try:
            if isinstance(run, SweepRun):
                write_sweep_report(run)
            else:
                _check(run)
                write_report(run)
        except DAMAGED as error:
            raise RunError(
                f"the page of {folder} cannot be drawn ({type(error).__name__}: {error!s:.120}); "
                "its facts or tables are not what its measures wrote: put them back, or run again"
            ) from error
    return run.report_file


def _check(run: Run) -> None:
    """Raises RunError if the run is not finished, or not what it was then."""
    run.results()
    if not run.manifest.there:
        return
    measured = [mark for mark in run.manifest.gone() if mark.startswith(run.measured.name)]
    if measured or not run.manifest.knows(run.results_file.name):
        missing = run.folder / measured[0] if measured else "what vouches for its results"
        raise RunError(
            f"{missing} is missing in {run.folder} (by its {FILE}); continue it with --resume"
        )
    run.manifest.check("facts", run.results_file.name)
