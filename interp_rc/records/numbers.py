"""Every number that a user sees."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % interval. `n` counts clusters (facts or seeds), never prompts."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    unit: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def text(self, digits: int = 1) -> str:
        """For people: percent for fractions, otherwise the value with its unit."""
        scale, unit = (100.0, " %") if self.unit == "fraction" else (1.0, f" {self.unit}")
        if self.value is None:
            return "not applicable"
        point = f"{self.value * scale:.{digits}f}{unit}"
        if self.low is None or self.high is None:
            return point
        return f"{point} [{self.low * scale:.{digits}f}, {self.high * scale:.{digits}f}]"


@dataclass(frozen=True, slots=True)
class Test:
    """One hypothesis test. `margin` in the unit of the tested quantity, for equivalence tests."""

    __test__ = False  # not a pytest class

    name: str
    test: str
    statistic: float | None
    p: float | None
    p_adjusted: float | None
    correction: str | None
    margin: float | None
    n: int


Outcome = Literal["supported", "refuted", "inconclusive"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a hypothesis came to, and the control that could have made it fail."""

    hypothesis: str
    verdict: Outcome
    reason: str
    control: str


def estimates_from(results: Mapping[str, Mapping[str, Any]]) -> dict[str, Estimate]:
    """Read the content of a `results.json`."""
    return {name: Estimate(**entry) for name, entry in results.items()}
