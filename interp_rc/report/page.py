"""The page of a run."""

from interp_rc.records.files import write_text
from interp_rc.records.runs import Run


def write_report(run: Run) -> None:
    write_text(run.report_file, "<!doctype html>")
