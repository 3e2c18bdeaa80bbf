"""One file of a finished run, sweep or facts folder damaged, and the commands that read it.

``python -m tests.fuzz.damage`` tries every damage of every file; `--count 100` as many of them.
"""

import argparse
import io
import shutil
import sys
import tempfile
import textwrap
import time
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from unittest import mock

from interp_rc.cli import main as command_line
from interp_rc.pipeline import run as pipeline_run
from interp_rc.pipeline.config import load_config

RUN = """\
    name: tiny
    facts: {kind: people, per_group: 3, training_templates: 3, held_out_templates: 3}
    model:
      kind: embedded
      size: {layers: 1, width: 16, heads: 2}
      vocabulary: 400
      world: {both: 4, trained_forward: 2, trained_backward: 2, exposures: 4}
    training: {epochs: 2, checkpoint_steps: 2, trace: {every: 1}}
    measures:
      - {kind: behaviour, candidate_templates: 1}
      - {kind: forgetting}
      - {kind: trace}
      - {kind: reverse_at_chance}
    machine: {threads: 1}
    """
SWEEP = RUN + "sweep: {grid: {seed: [0, 1]}, workers: 1}\n"
STATES = ("run", "sweep", "unmeasured", "begun", "apart")
"""Finished ones, runs that were ended while measured and while trained, and what is of no run."""
NUMBERS = ("results.json", "tests.json", "verdicts.json", "trials.parquet")


def flip(file: Path, draw: Random) -> None:
    raw = bytearray(file.read_bytes())
    raw[draw.randrange(len(raw))] ^= 1 << draw.randrange(8)
    file.write_bytes(raw)


def truncate(file: Path, draw: Random) -> None:
    raw = file.read_bytes()
    file.write_bytes(raw[: draw.randrange(len(raw))])


def replace_by(content: bytes) -> Callable[[Path, Random], None]:
    return lambda file, draw: file.write_bytes(content) and None


def delete(file: Path, draw: Random) -> None:
    file.unlink()


def put_a_folder(file: Path, draw: Random) -> None:
    file.unlink()
    file.mkdir()


DAMAGES: dict[str, Callable[[Path, Random], None]] = {
    "flip": flip,
    "truncate": truncate,
    "empty": replace_by(b""),
    "[]": replace_by(b"[]"),
    "{}": replace_by(b"{}"),
    "null": replace_by(b"null"),
    "garbage": replace_by(bytes(range(255, -1, -1)) * 3),
    "delete": delete,
    "folder": put_a_folder,
}


@dataclass(frozen=True)
class Case:
    """`state` is a folder of the stock, `file` is in it, `command` reads it."""

    state: str
    file: str
    damage: str
    command: str


@dataclass
class Stock:
    """Folders that damaged copies are made of, each as undisturbed as it can be."""

    folder: Path

    @classmethod
    def made(cls, folder: Path, *, sweep: bool = True) -> "Stock":
        (folder / "run.yaml").write_text(textwrap.dedent(RUN), encoding="utf-8")
        (folder / "sweep.yaml").write_text(textwrap.dedent(SWEEP), encoding="utf-8")
        stock = cls(folder)
        for what in ("run", "sweep") if sweep else ("run",):
            code, text = call(["run", str(folder / f"{what}.yaml"), "--out", str(folder / what)])
            assert code == 0, text
        stock._begun()
        stock._unmeasured()
        for part in ("model", "facts"):
            shutil.copytree(folder / "run" / part, folder / "apart" / part)
        code, text = call(stock.command("evaluate", folder / "run", folder / "evaluated"))
        assert code == 0, text
        return stock

    def _begun(self) -> None:
        """A run that was ended after finetuning and before its model was kept."""
        config = load_config(self.folder / "run.yaml", [])
        kept = pipeline_run.save_any

        def save(model: object, place: Path) -> None:
            if place.name == "model":
                raise KeyboardInterrupt
            kept(model, place)  # type: ignore[arg-type]

        with mock.patch.object(pipeline_run, "save_any", save):
            try:
                pipeline_run.execute(config, self.folder / "begun", say=str)
            except KeyboardInterrupt:
                assert list((self.folder / "begun" / "checkpoints").iterdir())

    def _unmeasured(self) -> None:
        """A run that was ended while it was measured."""
        shutil.copytree(self.folder / "run", self.folder / "unmeasured")
        for name in ("results.json", "tests.json", "verdicts.json", "report.html"):
            (self.folder / "unmeasured" / name).unlink()
        for name in ("forgetting", "reverse_at_chance"):
            (self.folder / "unmeasured" / "measured" / f"{name}.json").unlink()
        shutil.rmtree(self.folder / "unmeasured" / "figures")

    def command(self, name: str, at: Path, out: Path) -> list[str]:
        match name:
            case "report":
                return ["report", str(at)]
            case "resume":
                experiment = "sweep.yaml" if (at / "trials").is_dir() else "run.yaml"
                return ["run", str(self.folder / experiment), "--out", str(at), "--resume"]
            case "again":
                return ["run", str(at / "config.yaml"), "--out", str(at), "--resume"]
            case "evaluate":
                return ["evaluate", "--model", str(at / "model"), "--facts", str(at / "facts"),
                        "--out", str(out)]  # fmt: skip
            case _:
                return ["facts", name, str(at / "facts")]

    def cases(self) -> list[Case]:
        """All that can be tried, and each of them once."""
        made = []
        for state in (name for name in STATES if (self.folder / name).is_dir()):
            for file in files_of(self.folder / state):
                for damage in DAMAGES:
                    if (self.folder / state / file).stat().st_size == 0 and damage in (
                        "flip", "truncate", "empty"
                    ):  # fmt: skip
                        continue
                    made += [Case(state, file, damage, name) for name in _commands(state, file)]
        return made


def files_of(folder: Path) -> list[str]:
    """Drawings are not read by anything, and one of them stands for all."""
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    drawn = [name for name in names if "figures/" in name]
    return [name for name in names if name not in drawn[1:]]


def _commands(state: str, file: str) -> list[str]:
    if state in ("unmeasured", "begun"):
        return ["resume"]
    if state == "apart":
        return ["evaluate", "validate", "show"] if file.startswith("facts") else ["evaluate"]
    names = ["report", "resume"]
    if state == "run" and file == "config.yaml":
        names.append("again")
    if state == "run" and file.startswith(("model/", "facts/")):
        names.append("evaluate")
    if state == "run" and file.startswith("facts/"):
        names += ["validate", "show"]
    return names


@dataclass
class Tally:
    """How cases ended, and each fault once."""

    ended: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def try_all(stock: Stock, cases: list[Case], folder: Path, seed: int = 0) -> Tally:
    tally = Tally()
    for case in cases:
        place = Path(tempfile.mkdtemp(dir=folder))
        ended, fault = outcome(stock, case, place, Random(f"{seed}/{case}"))
        tally.ended[f"{case.command} {ended}"] += 1
        if fault:
            tally.faults.append(f"{case}: {fault}")
            print(tally.faults[-1], file=sys.stderr, flush=True)
        shutil.rmtree(place, ignore_errors=True)
    return tally


def outcome(stock: Stock, case: Case, place: Path, draw: Random) -> tuple[str, str | None]:
    """How a case ended, and what is wrong with that."""
    # By the name that the undisturbed one has: it stands on the page.
    name = "run" if case.state in ("unmeasured", "begun") else case.state
    there = place / name
    shutil.copytree(stock.folder / case.state, there)
    DAMAGES[case.damage](there / case.file, draw)
    code, text = call(stock.command(case.command, there, place / "evaluated"))
    if code == 1:
        return "refused", _fault_of_refusal(case, text)
    if code:
        return "fault", f"exit code {code}\n{text}"
    return "done", _fault_of_numbers(stock, case, there, place, text)


def _fault_of_refusal(case: Case, text: str) -> str | None:
    errors = [line for line in text.splitlines() if line.startswith("error: ")]
    if "Traceback" in text or "fault of interp-rc" in text or len(errors) != 1:
        return text
    named = Path(case.file).name in errors[0] or f"/{case.file.split('/')[0]}" in errors[0]
    named |= case.file == "files.json"  # the file that it denies is named
    return None if named else f"names no file: {errors[0]}"


def _fault_of_numbers(stock: Stock, case: Case, at: Path, place: Path, text: str) -> str | None:
    if case.command in ("validate", "show") or case.state == "apart":  # somebody's own
        return None
    whole = stock.folder / ("sweep" if case.state == "sweep" else "run")
    if case.command == "evaluate":
        at, whole = place / "evaluated", stock.folder / "evaluated"
    different = [
        file.name
        for name in NUMBERS
        for file in [whole / name]
        if file.is_file()
        and (not (at / name).is_file() or (at / name).read_bytes() != file.read_bytes())
    ]
    if case.command == "report":
        different = [name for name in different if name != case.file]
        if (at / "report.html").read_bytes() != (whole / "report.html").read_bytes():
            different.append("report.html")
    if not different or "warning" in text:
        return None
    return f"other {', '.join(different)} without a word\n{text}"


def call(arguments: list[str]) -> tuple[int, str]:
    """Exit code, and all that was said, of the command line in this process."""
    said = io.StringIO()
    with (
        redirect_stdout(said),
        redirect_stderr(said),
        mock.patch.object(sys, "argv", ["interp-rc", *arguments]),
        mock.patch("interp_rc.cli.end_tidily"),
    ):
        try:
            command_line()
        except SystemExit as end:
            return int(end.code or 0), said.getvalue()
    return 0, said.getvalue()


def main() -> int:
    parser = argparse.ArgumentParser(description="Damaged files against what reads them.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int)
    parser.add_argument("--only", default="", help="state/file that cases must begin with")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "stock").mkdir()
        stock = Stock.made(Path(folder) / "stock")
        cases = [c for c in stock.cases() if f"{c.state}/{c.file}".startswith(chosen.only)]
        if chosen.count is not None:
            cases = Random(chosen.seed).sample(cases, min(chosen.count, len(cases)))
        before = time.monotonic()
        tally = try_all(stock, cases, Path(folder), chosen.seed)
    print(f"{len(cases)} cases in {time.monotonic() - before:.0f} s, {len(tally.faults)} faults")
    print(", ".join(f"{name} {count}" for name, count in tally.ended.most_common()))
    return 1 if tally.faults else 0


if __name__ == "__main__":
    sys.exit(main())
