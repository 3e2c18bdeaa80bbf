"""Runs in processes of their own: one a trial, several at once, none that outlives the driver."""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from pathlib import Path

from interp_rc.pipeline.run import execute
from interp_rc.pipeline.sweep.plan import Trial
from interp_rc.records.errors import InterpError
from interp_rc.records.signals import end_tidily
from interp_rc.records.sweeps import SweepRun

PATIENCE = 5.0
"""Seconds that an interrupted process has to delete what it has half-written."""
LOOK = 0.2
"""Seconds between two looks at whether the driver is there."""
ENDING = 30.0
"""Seconds that the process of a driver that was killed may still be in the way of the next one's:
it looks for its driver, but a machine may be busy."""
DEATHS = 5
"""A trial whose process was killed this often is given up: something here kills it each time."""

Tell = Callable[[list[str]], object]
"""Told every second, and at every change, what each process is doing."""


@dataclass
class _Worker:
    trial: Trial
    process: multiprocessing.process.BaseProcess
    messages: Connection
    doing: str = "starting"
    fault: str | None = None

    def listen(self) -> None:
        """Take in what the process has said, also after its end."""
        with contextlib.suppress(EOFError, OSError):
            while self.messages.poll():
                kind, text = self.messages.recv()
                if kind == "fault":
                    self.fault = text
                else:
                    self.doing = text


@dataclass
class Outcome:
    """How a trial ended; `fault` is None if it is finished."""

    trial: Trial
    fault: str | None


@dataclass
class Pool:
    """`count` processes, each with `threads` threads."""

    sweep: SweepRun
    count: int
    threads: int
    working: list[_Worker] = field(default_factory=list)
    alive: Connection = field(init=False)
    """The end of a pipe that this process alone has: processes end when it is closed."""

    def work(self, trials: Sequence[Trial], tell: Tell) -> Generator[Outcome, None, None]:
        """Every trial's outcome, as they end. A killed process's trial is continued in another."""
        pending, deaths = deque(trials), dict.fromkeys([trial.id for trial in trials], 0)
        context = _context()
        watched, self.alive = context.Pipe(duplex=False)
        try:
            while pending or self.working:
                while pending and len(self.working) < self.count:
                    self.working.append(self._start(context, pending.popleft(), watched))
                for worker in self._ended(tell):
                    if worker.fault is None and self._was_killed(worker):
                        deaths[worker.trial.id] += 1
                        if deaths[worker.trial.id] < DEATHS:
                            pending.appendleft(worker.trial)
                            continue
                        worker.fault = (
                            f"its process was killed {DEATHS} times (by signal "
                            f"{_signal_of(worker.process)}); is there enough memory?"
                        )
                    yield Outcome(worker.trial, worker.fault)
        finally:
            self._end()
            watched.close()

    def _end(self) -> None:
        """Let processes that still work tidy up; what takes too long, or is not known to have been
        started because that was interrupted, ends as the watched pipe does."""
        try:
            for worker in self.working:
                worker.process.terminate()
            patience = time.monotonic() + PATIENCE
            for worker in self.working:
                worker.process.join(max(0.0, patience - time.monotonic()))
        finally:
            self.alive.close()
            for worker in self.working:
                worker.process.kill()
                worker.process.join()
            self.working.clear()

    def _start(self, context: BaseContext, trial: Trial, watched: Connection) -> _Worker:
        receiver, sender = context.Pipe(duplex=False)
        log = self.sweep.logs / f"{trial.id}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        process = context.Process(  # type: ignore[attr-defined]  # each context has its own
            target=_run,
            args=(trial, self.sweep.trial(trial.id).folder, log, self.threads, sender, watched),
        )
        process.start()
        sender.close()
        return _Worker(trial, process, receiver)

    def _ended(self, tell: Tell) -> list[_Worker]:
        """Wait, for a second at most, until a process ends; these are no longer working."""
        wait([worker.process.sentinel for worker in self.working], timeout=1)
        for worker in self.working:
            worker.listen()
        ended = [worker for worker in self.working if worker.process.exitcode is not None]
        for worker in ended:
            worker.listen()
            worker.messages.close()
            self.working.remove(worker)
        tell([worker.doing for worker in self.working])
        return ended

    def _was_killed(self, worker: _Worker) -> bool:
        return not self.sweep.trial(worker.trial.id).finished


def _signal_of(process: multiprocessing.process.BaseProcess) -> int:
    """What ended it, at once or tidily."""
    code = process.exitcode or 0
    return -code if code < 0 else code - 128


def _context() -> BaseContext:
    """Processes that share the loaded packages, where the system can; else each loads its own."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["interp_rc.pipeline.run"])
    return context


def _run(
    trial: Trial,
    folder: Path,
    log: Path,
    threads: int,
    messages: Connection,
    watched: Connection,
) -> None:
    """One trial from where it stands, in a process of its own; its words go to `log`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interruption is the driver's to handle
    end_tidily()
    threading.Thread(target=_die_with_the_driver, args=(watched, os.getppid()), daemon=True).start()
    with log.open("a", encoding="utf-8", buffering=1) as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)

        def say(text: str) -> None:
            print(text, file=out)
            messages.send(("doing", text))

        try:
            execute(
                trial.config,
                folder,
                resume=True,
                threads=threads,
                page=False,
                patience=ENDING,
                say=say,
            )
        except InterpError as error:
            messages.send(("fault", str(error)))
        except Exception as error:
            messages.send(("fault", f"{type(error).__name__}: {error} (see {log})"))
            raise


def _die_with_the_driver(watched: Connection, parent: int) -> None:
    """A trial that went on without its driver would be in the way of the next one. The driver is
    gone when its end of the pipe is; what started this process may be gone before it."""
    while not watched.poll(LOOK) and os.getppid() == parent:
        pass
    os._exit(1)
