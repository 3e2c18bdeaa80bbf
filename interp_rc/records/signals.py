"""Signals that ask a process to end: it deletes what it has half-written first."""

import signal
from types import FrameType

ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Asked to end; the terminal is gone."""


def end_tidily() -> None:
    """End by SystemExit on these signals, as on an interruption, with 128 and the signal's number.

    A signal that the process was started to ignore (nohup) stays ignored; a second one ends it at
    once. To be called in the main thread.
    """
    for number in ENDING:
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _end)


def _end(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)
    raise SystemExit(128 + number)
