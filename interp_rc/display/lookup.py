"""Numbers of a run by their names: a page computes none."""

from interp_rc.records.estimates import MissingNumber
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured


def look_up(measured: Measured, name: str) -> Estimate:
    """The estimate of that name. Raises MissingNumber if there is none."""
    try:
        return measured.estimates[name]
    except KeyError:
        raise MissingNumber(name) from None
