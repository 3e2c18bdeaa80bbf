"""What a tool says of one planted model, next to what is true of it."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from interp_rc.models.planted.plan import Planted
from interp_rc.records.nouns import Order
from interp_rc.records.numbers import Test
from interp_rc.tools.patching.discoveries import is_discovery


class Finding(NamedTuple):
    """`first`: the planted place comes first; None where nothing is planted for the tool. Of the
    sites that provably carry nothing, `null_sites` were tested and `false` were called;
    `largest_null` is the largest absolute effect at one of them, in the tool's unit."""

    first: bool | None
    discoveries: int
    null_sites: int
    false: int
    largest_null: float


Tool = Callable[[Planted, Order], Finding | None]
"""None where a planting has nothing that the tool could find."""


def finding(
    first: bool | None, tests: Sequence[Test], null: set[str], null_effects: Sequence[float]
) -> Finding:
    """From corrected tests, whose names are the sites', and the names of the null sites."""
    called = {test.name for test in tests if is_discovery(test)}
    tested = null & {test.name for test in tests}
    largest = max(map(abs, null_effects), default=0.0)
    return Finding(first, len(called), len(tested), len(called & tested), largest)
