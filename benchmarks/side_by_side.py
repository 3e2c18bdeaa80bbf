"""Sides that compute the same, timed in turns: one row a side, and the file of the table."""

import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from interp_rc.records.environment import environment, version
from interp_rc.records.files import replacing, write_json

TABLES = Path(__file__).parent / "tables"
PEERS = ("transformer-lens", "nnsight")

W = TypeVar("W")
Side = Callable[[W], Tensor]


def prepared(sides: Mapping[str, Callable[[W], Side]], names: Iterable[str], work: W) -> dict:
    """The named sides, ready to run; one whose package is not installed is left out, aloud."""
    found: dict[str, Side] = {}
    for name in names:
        try:
            found[name] = sides[name](work)
        except ImportError as error:
            print(f"{name} is skipped: {error}", file=sys.stderr)
    return found


def compare(sides: Mapping[str, Side], work: W, repeats: int) -> list[dict[str, Any]]:
    """Each side `repeats` times, in turns: the median of its seconds, how many times the first
    side's that is, and the largest difference from `reference`, a plain loop where there is one."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    values = {}
    for _ in range(repeats):
        for name, side in sides.items():
            begin = time.perf_counter()
            values[name] = side(work)
            seconds[name].append(time.perf_counter() - begin)
    medians = {name: float(np.median(taken)) for name, taken in seconds.items()}
    first = next(iter(sides))
    reference = next((name for name in ("loop", "batched_loop") if name in sides), first)
    return [
        {
            "side": name,
            "seconds": round(taken, 3),
            "times_as_long": round(taken / medians[first], 2),
            "reference": reference,
            "largest_difference": float((values[name] - values[reference]).abs().max()),
        }
        for name, taken in medians.items()
    ]


def write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    """Long-form CSV, and beside it what it was made with."""
    with replacing(path) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False, lineterminator="\n")
    made_with = environment() | {
        "threads": torch.get_num_threads(),
        "peers": {name: version(name) for name in PEERS},
    }
    write_json(path.with_suffix(".environment.json"), made_with)
