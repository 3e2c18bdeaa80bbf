"""Does a change of the code keep every number? Compare what two versions of it measure.

python -m analysis.numbers_kept run OUT             # with the version that is checked out
python -m analysis.numbers_kept compare OLD NEW     # exits with 1 if a number differs

Runs are the small forms of all experiments that need nothing from elsewhere, and the demo at seed
0. Every value of each `results.json` and every cell of each table must be the same, bit for bit;
names are those of today (`analysis.old_names`). With `--within`, numbers may differ by so much and
texts may not. Numbers, columns and tables that there were none of before are not compared.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.old_names import rename_table, renamed
from interp_rc.pipeline.experiments import experiments

ELSEWHERE = {"hosted", "published"}
"""Experiments that need an API, or data that are not part of the project."""
NAME = "name"


def run_all(folder: Path) -> None:
    """Make every run that is not there yet, one after another."""
    for path in experiments():
        if path.stem not in ELSEWHERE:
            _run(folder / path.stem, path.stem, "--smoke")
    _run(folder / "demo", "descriptions")


def _run(out: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "interp_rc.cli", "run", *arguments, "--out", str(out)]
    print(" ".join(command[3:]), flush=True)
    subprocess.run([*command, "--resume"], check=True, stdout=subprocess.DEVNULL)


def differences(old: Path, new: Path, within: float) -> Iterator[str]:
    """Yield a line for each number, table, row or column of `old` that is not so in `new`."""
    for pattern, compared in (("results.json", _results), ("*.parquet", _tables)):
        there = {path.relative_to(old) for path in old.rglob(pattern)}
        here = {path.relative_to(new) for path in new.rglob(pattern)}
        yield from (f"{path} is gone" for path in sorted(there - here))
        for path in sorted(there & here):
            yield from (f"{path}: {line}" for line in compared(old / path, new / path, within))


def _results(old: Path, new: Path, within: float) -> Iterator[str]:
    before, after = (json.loads(path.read_text(encoding="utf-8")) for path in (old, new))
    before = {renamed(name): value for name, value in before.items()}
    yield from (f"{name} is gone" for name in sorted(before.keys() - after.keys()))
    for name in before.keys() & after.keys():
        if not _alike(before[name], after[name], within):
            yield f"{name}: {before[name]} became {after[name]}"


def _tables(old: Path, new: Path, within: float) -> Iterator[str]:
    before, after = rename_table(pd.read_parquet(old), old.stem), pd.read_parquet(new)
    yield from (f"column {name} is gone" for name in sorted({*before} - {*after}))
    if NAME in before and NAME in after:  # a table of numbers by name, of a sweep, in any order
        after = after[after[NAME].isin(before[NAME])]
        before, after = (table.sort_values(NAME, kind="stable") for table in (before, after))
    if len(before) != len(after):
        yield f"{len(before)} rows became {len(after)}"
        return
    for name in {*before} & {*after}:
        pairs = zip(before[name], after[name], strict=True)
        differing = [pair for pair in pairs if not _alike(*pair, within)]
        if differing:
            yield f"column {name}: {len(differing)} of {len(before)} rows, first {differing[0]}"


def _alike(one: Any, other: Any, within: float) -> bool:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_alike(one[k], other[k], within) for k in one)
    if isinstance(one, list | tuple | np.ndarray) and isinstance(other, list | tuple | np.ndarray):
        return len(one) == len(other) and all(
            _alike(*pair, within) for pair in zip(one, other, strict=True)
        )
    if pd.isna(one) or pd.isna(other):
        return bool(pd.isna(one) and pd.isna(other))
    if isinstance(one, str | bool) or isinstance(other, str | bool):
        return bool(one == other)
    return bool(abs(one - other) <= within)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run").add_argument("folder", type=Path)
    compare = commands.add_parser("compare")
    compare.add_argument("old", type=Path)
    compare.add_argument("new", type=Path)
    compare.add_argument("--within", type=float, default=0.0)
    arguments = parser.parse_args()
    if arguments.command == "run":
        run_all(arguments.folder)
        return
    files = len([*arguments.old.rglob("results.json"), *arguments.old.rglob("*.parquet")])
    found = list(differences(arguments.old, arguments.new, arguments.within))
    print("\n".join([*found, f"{len(found)} differences in {files} files"]))
    sys.exit(bool(found or not files))


if __name__ == "__main__":
    main()
