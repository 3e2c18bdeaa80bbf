"""Numbers of a run by their names: a page computes none."""

from itertools import count, takewhile

from interp_rc.records.estimates import MissingNumber
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured


def look_up(measured: Measured, name: str) -> Estimate:
    """The estimate of that name. Raises MissingNumber if there is none."""
    try:
        return measured.estimates[name]
    except KeyError:
        raise MissingNumber(name) from None


def look_up_place(measured: Measured, start: str) -> list[str]:
    """What a measure chose: the words after `start` of the one name that begins with it.

    Raises MissingNumber if none does.
    """
    for name in measured.estimates:
        if name.startswith(f"{start}."):
            return name.removeprefix(f"{start}.").split(".")
    raise MissingNumber(start)


def by_layers(measured: Measured, name: str) -> list[Estimate]:
    """The estimates of all layers, from 0 on; `{}` stands for the layer in `name`.

    Raises MissingNumber if there is not even the first.
    """
    look_up(measured, name.format(0))
    names = takewhile(measured.estimates.__contains__, map(name.format, count()))
    return [measured.estimates[name] for name in names]


def numbered(measured: Measured, start: str) -> dict[int, Estimate]:
    """What stands under `start` and a number, by that number, the least first."""
    ends = {n.removeprefix(start): e for n, e in measured.estimates.items() if n.startswith(start)}
    return {int(end): ends[end] for end in sorted(filter(str.isdigit, ends), key=int)}
