"""Device, precision and threads are what was asked for, or what the machine has."""

import os
import threading
from pathlib import Path

import pytest
import torch

from interp_rc.models.machine import (
    available_cores,
    choose_machine,
    has_fast_bf16,
    is_small,
    spread,
    use_threads,
)
from interp_rc.records.errors import InterpError


def cores(monkeypatch, count):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(count)), raising=False)


def test_cores_are_those_this_process_may_use(monkeypatch):
    cores(monkeypatch, 3)
    assert available_cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert available_cores() == 5


@pytest.mark.parametrize(("found", "used"), [(1, 1), (8, 8), (64, 8)])
def test_no_more_than_eight_threads_unless_asked_for(monkeypatch, found, used):
    cores(monkeypatch, found)
    assert choose_machine("cpu").threads == used
    assert choose_machine("cpu", threads=16).threads == 16


def test_threads_are_set():
    use_threads(choose_machine("cpu", threads=2))
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("fast", [True, False])
def test_precision_is_as_asked_or_as_the_machine_can(monkeypatch, fast):
    monkeypatch.setattr("interp_rc.models.machine.has_fast_bf16", lambda _: fast)
    assert choose_machine("cpu", "auto").bf16 is fast
    assert choose_machine("cpu", "bf16").bf16 is True
    assert choose_machine("cpu", "float32").bf16 is False


def test_bfloat16_is_fast_where_the_processor_says_so():
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        pytest.skip("only Linux tells what its processor can do")
    assert has_fast_bf16("cpu") == ("avx512_bf16" in info.read_text().split())


@pytest.mark.parametrize(
    ("cuda", "mps", "chosen"),
    [(True, False, "cuda"), (False, True, "mps"), (False, False, "cpu"), (True, True, "cuda")],
)
def test_the_best_device_is_taken(monkeypatch, cuda, mps, chosen):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    machine = choose_machine()
    assert machine.device == chosen
    assert choose_machine("cpu").device == "cpu"
    if chosen != "cpu":
        assert machine.bf16 is (chosen == "cuda")


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_there(monkeypatch, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InterpError, match=f"{device}.*machine.device"):
        choose_machine(device)


def test_a_small_model_is_worked_on_by_several_threads_of_one_each():
    torch.set_num_threads(3)
    seen = []
    together = threading.Barrier(3, timeout=30)

    def work(batch):
        if batch < 3:
            together.wait()  # three at once, or never
        seen.append((threading.get_ident(), torch.get_num_threads()))
        return 10 * batch

    assert list(spread(torch.nn.Linear(2, 2), work, list(range(7)))) == [*range(0, 70, 10)]
    assert {threads for _, threads in seen} == {1}
    assert len({thread for thread, _ in seen}) == 3
    assert torch.get_num_threads() == 3


def test_a_large_model_gets_all_threads_for_each_batch(monkeypatch):
    monkeypatch.setattr("interp_rc.models.machine.SMALL", 6)
    torch.set_num_threads(3)
    assert is_small(torch.nn.Linear(2, 1))
    assert not is_small(torch.nn.Linear(2, 2))
    work = list(spread(torch.nn.Linear(2, 2), lambda _: torch.get_num_threads(), [1, 2]))
    assert work == [3, 3]


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_in_one_batch_is_an_error(threads):
    torch.set_num_threads(threads)
    with pytest.raises(ZeroDivisionError):
        list(spread(torch.nn.Linear(2, 2), lambda batch: 1 // batch, [1, 0, 2]))
    assert torch.get_num_threads() == threads
