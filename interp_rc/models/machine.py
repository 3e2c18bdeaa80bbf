"""What this machine offers: device, precision and threads, chosen deliberately."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch

from interp_rc.models.module_state import keeps_state, must_be_watched, watching
from interp_rc.records.errors import ModelError

SMALL = 5_000_000  # parameters

T = TypeVar("T")
R = TypeVar("R")

Precision = Literal["auto", "bf16", "float32"]
Device = Literal["auto", "cpu", "cuda", "mps"]


@dataclass(frozen=True, slots=True)
class Machine:
    """`bf16` says whether training uses bfloat16 autocast; evaluation never does."""

    device: Literal["cpu", "cuda", "mps"]
    bf16: bool
    threads: int


def available_cores() -> int:
    """Cores this process may use (its affinity, not the machine's count)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def choose_machine(
    device: Device = "auto", precision: Precision = "auto", threads: int | None = None
) -> Machine:
    """The device asked for or the best there is.

    On a CPU, bfloat16 pays only where it multiplies in hardware. More than eight threads slow
    small models down, so more must be asked for. Raises ModelError for a device that is not there.
    """
    chosen: Literal["cpu", "cuda", "mps"]
    if device != "auto":
        chosen = device
        there: dict[str, Callable[[], bool]] = {
            "cuda": torch.cuda.is_available,
            "mps": torch.backends.mps.is_available,
        }
        if device in there and not there[device]():
            raise ModelError(f"this machine has no {device} device; set machine.device to auto")
    elif torch.cuda.is_available():
        chosen = "cuda"
    else:
        chosen = "mps" if torch.backends.mps.is_available() else "cpu"
    bf16 = precision == "bf16" or (precision == "auto" and has_fast_bf16(chosen))
    return Machine(chosen, bf16, threads or min(available_cores(), 8))


def has_fast_bf16(device: str) -> bool:
    """Whether the device multiplies bfloat16 in hardware."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported())
    return False


def use_threads(machine: Machine) -> None:
    """Set the number of threads of this process."""
    torch.set_num_threads(machine.threads)


def device_of(module: torch.nn.Module) -> torch.device:
    """Where the module computes. Weights may be elsewhere until they are needed: models that are
    spread over devices, or kept in memory or on disk, say in accelerate's hooks where they go."""
    for one in module.modules():
        hook = getattr(one, "_hf_hook", None)
        for part in getattr(hook, "hooks", [hook]):
            device = getattr(part, "execution_device", None)
            if device is not None:
                return torch.device(device)
    return next(module.parameters()).device


def is_small(model: torch.nn.Module, below: int | None = None) -> bool:
    """Whether a CPU's operations on this model are too short to be shared between threads.

    Threads that meet after every operation of a fraction of a millisecond gain little on quiet
    cores, and where another process is busy they were seen to lose a factor of ten.
    """
    # Weights that come and go (on "meta" in between) do so for one thread at a time.
    here = all(parameter.device.type == "cpu" for parameter in model.parameters())
    return here and counts_as_small(model, below)


def counts_as_small(model: torch.nn.Module, below: int | None = None) -> bool:
    """Whether a model has fewer parameters than `below` (None: `SMALL`), wherever it is."""
    return sum(parameter.numel() for parameter in model.parameters()) < (below or SMALL)


@contextmanager
def threads_for(model: torch.nn.Module, below: int | None = None) -> Iterator[int]:
    """One thread an operation for a small model, else all; gives how many may work at once."""
    threads = torch.get_num_threads()
    if not is_small(model, below):
        yield 1
        return
    torch.set_num_threads(1)
    try:
        yield threads
    finally:
        torch.set_num_threads(threads)


def spread(
    model: torch.nn.Module,
    work: Callable[[T], R],
    batches: Sequence[T],
    *,
    below: int | None = None,
) -> Iterator[R]:
    """`work` on every batch, results in order; several batches at once for a small model, one of
    fewer parameters than `below`.

    Each batch is computed by one thread, so that no number depends on how many there are. Batches
    follow one another, too, where the first leaves something behind in the model's modules, which
    others would meet there.
    """
    with threads_for(model, below) as at_once:
        if at_once > 1 and batches and must_be_watched(model):
            with watching(model):
                first = work(batches[0])
            yield first
            batches = batches[1:]
        if at_once == 1 or keeps_state(model):
            yield from map(work, batches)
            return
        with ThreadPoolExecutor(at_once, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield from pool.map(work, batches)
