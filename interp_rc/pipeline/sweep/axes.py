"""What a user chooses about a sweep, and the points that it visits."""

import math
import random
from collections.abc import Iterator
from itertools import product
from typing import Annotated, Any

from pydantic import Field, model_validator

from interp_rc.records.limits import MOST_TRIALS
from interp_rc.records.options import Options, Seed, Workers
from interp_rc.records.seeds import generator

Values = Annotated[list[Any], Field(min_length=1)]
Point = dict[str, Any]
"""One value for each axis, by dotted key, e.g. ``{"training.learning_rate": 0.001, "seed": 0}``."""


class Range(Options):
    """Numbers from `low` to `high`, drawn evenly, or with `log` evenly in their logarithm.

    Whole numbers if both ends are; else three significant digits, so that people can read them.
    """

    low: int | float
    high: int | float
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> "Range":
        if not self.low < self.high:
            raise ValueError(f"low {self.low} must be less than high {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"low {self.low} has no logarithm; give a positive one")
        return self

    def draw(self, draw: random.Random) -> int | float:
        if self.log:
            value = math.exp(draw.uniform(math.log(self.low), math.log(self.high)))
        else:
            value = draw.uniform(self.low, self.high)
        if isinstance(self.low, int) and isinstance(self.high, int):
            return round(value)
        return float(f"{value:.3g}")


class RandomAxes(Options):
    """`trials` random points; an axis is a range or a list to choose from."""

    trials: Annotated[int, Field(ge=1, le=MOST_TRIALS)]
    seed: Seed = 0
    axes: dict[str, Range | Values]

    def points(self) -> list[Point]:
        """The same for the same seed; the first n stay the same when more are asked for."""
        return [
            {
                key: axis.draw(draw) if isinstance(axis, Range) else draw.choice(axis)
                for key, axis in self.axes.items()
            }
            for number in range(self.trials)
            for draw in [generator(self.seed, "sweep", number)]
        ]


class Sweep(Options):
    """Every combination of the `grid`, at each of the `random` points if there are any.

    `workers` processes work at once (null: one a core, or one where there is an accelerator).
    `show` names the results that page and terminal put first.
    """

    grid: dict[str, Values] = Field(default_factory=dict)
    random: RandomAxes | None = None
    workers: Workers | None = None
    show: list[str] | None = None

    @model_validator(mode="after")
    def _has_axes(self) -> "Sweep":
        drawn = self.random.axes if self.random else {}
        if not self.grid and not drawn:
            raise ValueError("names no axis; add one to `grid`, e.g. seed: [0, 1, 2]")
        if both := set(self.grid).intersection(drawn):
            raise ValueError(f"names {min(both)} twice, in `grid` and in `random`; choose one")
        count = math.prod(map(len, self.grid.values())) * (self.random.trials if self.random else 1)
        if count > MOST_TRIALS:
            raise ValueError(
                f"has {count:,} runs, and {MOST_TRIALS:,} are the most; shorten the grid, or draw "
                "`random` trials"
            )
        return self

    def points(self) -> Iterator[Point]:
        """The first axis of the grid changes slowest."""
        drawn = self.random.points() if self.random else [{}]
        for values in product(*self.grid.values()):
            for point in drawn:
                yield dict(zip(self.grid, values, strict=True)) | point
