"""A measure's section of the page, or the generic one."""

from dataclasses import replace

from interp_rc.display import generic
from interp_rc.display.section import Section
from interp_rc.measures.registry import MEASURES, measure_class
from interp_rc.records.estimates import MissingNumber
from interp_rc.records.runs import Measured, Run


def section(kind: str, run: Run, measured: Measured) -> Section:
    """Show the measure's own section, or the generic one; that, too, if a number is missing."""
    if kind not in MEASURES:
        return generic.section(kind, run, measured)
    try:
        return measure_class(kind).section(run, measured)
    except MissingNumber as missing:
        return replace(
            generic.section(kind, run, measured),
            sentence=(
                f"An earlier version measured this, without {missing}: to measure it again, "
                f"delete measured/{kind}.json in the run’s folder and run again with --resume."
            ),
        )
