"""The page of whatever a folder holds, from its numbers."""

from pathlib import Path

from interp_rc.records.runs import Run
from interp_rc.records.sweeps import SweepRun
from interp_rc.report.page import write_report
from interp_rc.report.sweep import write_sweep_report


def write_again(folder: Path) -> Path:
    """The page's file. Raises RunError if the folder holds no finished run or sweep."""
    sweep = SweepRun(folder)
    if sweep.sweep_file.is_file():
        write_sweep_report(sweep)
        return sweep.report_file
    run = Run.open(folder)
    run.results()
    write_report(run)
    return run.report_file
