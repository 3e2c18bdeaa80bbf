"""What is installed, what this machine offers, and what will work here."""

import importlib.util
import os
import platform
import shutil
from collections.abc import Iterator

import torch

from interp_rc.models.machine import available_cores, choose_machine
from interp_rc.records.environment import PACKAGES, commit, version
from interp_rc.training.base import cache_folder

GIB = 2**30


def findings() -> Iterator[tuple[str, str]]:
    """Lines of name and finding."""
    yield "interp-rc", f"{version('interp-rc')} (commit {commit() or 'unknown'})"
    yield "python", f"{platform.python_version()} on {platform.platform()}"
    for package in PACKAGES:
        yield package, version(package) or "MISSING: install interp-rc again"
    yield "torchvision", _torchvision()
    machine = choose_machine()
    yield "device", _device(machine.device)
    yield "training precision", "bfloat16 autocast" if machine.bf16 else "float32"
    yield "threads", f"{machine.threads} of {available_cores()} cores (machine.threads changes it)"
    yield "memory", _memory()
    cache = cache_folder()
    bases = len(list(cache.glob("base/*/manifest.json")))
    yield "cache", f"{cache} ({bases} base models); INTERP_RC_CACHE changes it"
    existing = next(p for p in (cache, *cache.parents) if p.exists())
    yield "free disk there", f"{shutil.disk_usage(existing).free / GIB:.0f} GiB"
    offline = os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0")
    yield "hub", "offline: cached models only" if offline else "models are fetched when asked for"
    yield "embedded experiments", "work here without a download"


def _torchvision() -> str:
    if importlib.util.find_spec("torchvision") is None:
        return "absent, as it should be"
    try:
        import torchvision  # noqa: F401
    except Exception as error:
        return f"BROKEN ({error}); uninstall it: Transformers imports it when it is there"
    return "present and importable"


def _device(device: str) -> str:
    if device == "cuda":
        free, total = torch.cuda.mem_get_info()
        name = torch.cuda.get_device_name()
        return f"cuda: {name}, {free / GIB:.0f} of {total / GIB:.0f} GiB free"
    return f"{device} ({torch.backends.cpu.get_cpu_capability()})" if device == "cpu" else device


def _memory() -> str:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    needs = "enough for every embedded experiment" if total >= 4 else "less than the 4 GiB advised"
    return f"{total:.1f} GiB ({needs})"
