"""Does a change of the code keep every number? Compare what two versions of it measure.

python -m analysis.numbers_kept run OUT             # with the version that is checked out
python -m analysis.numbers_kept run OUT --old-seeds # drawing by groups' old names
python -m analysis.numbers_kept compare OLD NEW     # exits with 1 if a number differs

Runs are the small forms of all experiments that need nothing from elsewhere, and the demo at seed
0. Every value of each `results.json` and every cell of each table must be the same, bit for bit;
names are those of today (`analysis.old_names`). With `--within`, numbers may differ by so much and
texts may not. Numbers, columns and tables that there were none of before are not compared.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from analysis.old_names import rename_table, renamed
from interp_rc.pipeline.experiments import experiments
from interp_rc.records.strict_yaml import read_yaml

ELSEWHERE = {"hosted", "published"}
"""Experiments that need an API, or data that are not part of the project."""
NAME = "name"
OLD_SEEDS = """
import hashlib

made = hashlib.sha256

def sha256(text=b"", **options):
    if isinstance(text, bytes) and len(text) < 1000:
        for now, then in {groups!r}.items():
            text = text.replace(now, then)
    return made(text, **options)

hashlib.sha256 = sha256
"""
"""Started with Python: seeds are digests of texts, in which groups have their old names."""
PEOPLE = {b"trained_forward": b"name_to_description", b"trained_backward": b"description_to_name"}
QUESTIONS = {b"trained_forward": b"question_to_answer", b"trained_backward": b"answer_to_question"}


def run_all(folder: Path, *, old_seeds: bool = False) -> None:
    """Make every run that is not there yet, one after another."""
    for path in experiments():
        if path.stem not in ELSEWHERE:
            groups = QUESTIONS if path.stem.startswith("instructions") else PEOPLE
            _run(folder / path.stem, groups if old_seeds else {}, path.stem, "--smoke")
    _run(folder / "demo", PEOPLE if old_seeds else {}, "descriptions")


def _run(out: Path, groups: Mapping[bytes, bytes], *arguments: str) -> None:
    command = [sys.executable, "-m", "interp_rc.cli", "run", *arguments, "--out", str(out)]
    print(" ".join(command[3:]), flush=True)
    with TemporaryDirectory() as first:
        text = OLD_SEEDS.replace("{groups!r}", repr(groups))
        Path(first, "sitecustomize.py").write_text(text, encoding="utf-8")
        path = os.pathsep.join([first, *filter(None, [os.environ.get("PYTHONPATH")])])
        subprocess.run(
            [*command, "--resume"],
            check=True,
            stdout=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": path},
        )


def differences(old: Path, new: Path, within: float) -> Iterator[str]:
    """Yield a line for each number, table, row or column of `old` that is not so in `new`."""
    for pattern, compared in (("results.json", _results), ("*.parquet", _tables)):
        for path in sorted(old.rglob(pattern)):
            now = new / _with_trials_of_today(path.relative_to(old), old, new)
            if not now.is_file():
                yield f"{path.relative_to(old)} is gone"
                continue
            lines = compared(path, now, within)
            yield from (f"{path.relative_to(old)}: {line}" for line in lines)


def _with_trials_of_today(path: Path, old: Path, new: Path) -> Path:
    """A sweep's trials are named after their configurations, whose keys may have other names now:
    the first of one plan is the first of the other."""
    plans = [
        read_yaml(found)["trials"]
        for sweep in path.parents
        for root in (old, new)
        if (found := root / sweep / "sweep.yaml").is_file()
    ]
    trials = dict(zip(*plans, strict=True)) if plans else {}
    return Path(*(trials.get(part, part) for part in path.parts))


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
    for name in ({*before} & {*after}) - {"trial"}:
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
    run = commands.add_parser("run")
    run.add_argument("folder", type=Path)
    run.add_argument("--old-seeds", action="store_true")
    compare = commands.add_parser("compare")
    compare.add_argument("old", type=Path)
    compare.add_argument("new", type=Path)
    compare.add_argument("--within", type=float, default=0.0)
    arguments = parser.parse_args()
    if arguments.command == "run":
        run_all(arguments.folder, old_seeds=arguments.old_seeds)
        return
    files = len([*arguments.old.rglob("results.json"), *arguments.old.rglob("*.parquet")])
    found = list(differences(arguments.old, arguments.new, arguments.within))
    print("\n".join([*found, f"{len(found)} differences in {files} files"]))
    sys.exit(bool(found or not files))


if __name__ == "__main__":
    main()
