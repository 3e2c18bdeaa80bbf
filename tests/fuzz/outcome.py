"""What became of an input: our own refusal, success, a traceback or a hang."""

import contextlib
import io
import json
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import FrameType

from interp_rc.cli import app
from interp_rc.records.errors import InterpError
from tests.fuzz.inputs import Input, Workshop, malformed

SECONDS = 20


class HangError(BaseException):
    """An input that took more than `SECONDS`; nothing of ours catches it."""


@dataclass
class Tally:
    """How inputs ended, and each fault once."""

    ended: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest: float = 0.0


def fuzz(seed: int, count: int, folder: Path) -> Tally:
    """Try `count` inputs that `seed` draws; each depends on its own number alone."""
    workshop = Workshop.made(folder / "workshop")
    tally = Tally()
    for index in range(count):
        place = Path(tempfile.mkdtemp(dir=folder))
        made = malformed(workshop, place, Random(f"{seed}/{index}"))
        before = time.monotonic()
        with contextlib.chdir(place):
            ended, fault = outcome(made)
        tally.slowest = max(tally.slowest, time.monotonic() - before)
        tally.ended[ended] += 1
        tally.kinds[made.kind] += 1
        if fault:
            print(f"{seed}/{index} {made.kind} {ended}", file=sys.stderr, flush=True)
            shown = json.dumps(made.arguments)[:1_500]
            tally.faults.append(f"{seed}/{index} {made.kind} {ended}\n{shown}\n{fault}")
        shutil.rmtree(place, ignore_errors=True)
    return tally


def outcome(made: Input) -> tuple[str, str | None]:
    """How an input ended, and where, if that is a fault."""
    try:
        with _time_limit(), _quiet() as said:
            code = _run(made)
    except InterpError:
        return "refused", None
    except HangError:
        return "hang", "".join(traceback.format_exc(limit=-6))
    except OSError as error:
        # The command line says these in one line; a library call must not raise them.
        return ("refused", None) if made.reads is None else ("traceback", repr(error))
    except BaseException:
        return "traceback", "".join(traceback.format_exc(limit=-6))
    if "Traceback" in said.getvalue():
        return "traceback", said.getvalue()[-2_000:]
    return ("done" if code == 0 else "usage" if code == 2 else "refused"), None


def _run(made: Input) -> int:
    if made.reads is not None:
        made.reads()
        return 0
    try:
        app(made.arguments, standalone_mode=True)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@contextlib.contextmanager
def _time_limit() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _quiet() -> Iterator[io.StringIO]:
    """Both streams as the command line makes them: any character can be said."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        yield said


def told(tally: Tally) -> str:
    """For people."""
    lines = [
        f"{sum(tally.ended.values())} inputs: "
        + ", ".join(f"{count} {ended}" for ended, count in tally.ended.most_common()),
        ", ".join(f"{kind} {count}" for kind, count in sorted(tally.kinds.items())),
        f"slowest: {tally.slowest:.1f} s",
    ]
    return "\n".join([*lines, *(f"\n{fault}" for fault in tally.faults)])


def main(arguments: list[str] | None = None) -> int:
    """``python -m tests.fuzz --seed 1 --count 5000``."""
    import argparse

    parser = argparse.ArgumentParser(description="Malformed inputs against every reader.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=5_000)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        tally = fuzz(chosen.seed, chosen.count, Path(folder))
    print(told(tally), file=sys.stdout)
    return 1 if tally.faults else 0
