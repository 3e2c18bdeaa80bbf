"""Is the memory that a sweep may use obeyed?

python -m benchmarks.patching_memory             # the table: about six minutes

For several settings and sites: the most that the process grew by during `patch(memory=…)`, in MiB,
beside the setting. Each in a process of its own, on a CPU.
"""

import argparse
import os
import subprocess
import sys
import threading
import time
from itertools import product
from pathlib import Path

import pandas as pd
import psutil

from benchmarks.side_by_side import TABLES, write_table

MIB = 2**20
SITES = ("attn_out", "mlp_out", "z", "mlp_post", "pattern")
# Freed memory goes back at once, so that what the process has is what it uses.
GIVES_BACK = {"MALLOC_TRIM_THRESHOLD_": "0", "MALLOC_MMAP_THRESHOLD_": "65536"}


def grown(component: str, memory: int, vocabulary: int) -> float:
    """The most that this process grows by while it patches, in MiB."""
    from benchmarks.patching_sides import contrasts_of
    from benchmarks.work import Setting, Work
    from interp_rc.engine.sites import Site
    from interp_rc.tools.patching.patching import patch

    work = Work(Setting(vocabulary=vocabulary, pairs=24, layers=3, width=256, tokens=20))
    contrasts = contrasts_of(work)
    sites = [Site(component, layer, position=t) for layer in range(3) for t in range(5, 20)]
    patch(work.loaded, contrasts[:1], sites[:2])  # what is loaded once
    process, most, done = psutil.Process(), [0], threading.Event()
    before = process.memory_info().rss

    def watch() -> None:
        while not done.is_set():
            most[0] = max(most[0], process.memory_info().rss)
            time.sleep(0.001)

    watching = threading.Thread(target=watch)
    watching.start()
    patch(work.loaded, contrasts, sites, memory=memory * MIB)
    done.set()
    watching.join()
    return (most[0] - before) / MIB


def measured(component: str, memory: int, vocabulary: int) -> dict[str, object]:
    """One row of the table, in a process of its own."""
    call = f"grown({component!r}, {memory}, {vocabulary})"
    command = f"from benchmarks.patching_memory import grown; print({call})"
    done = subprocess.run(
        [sys.executable, "-c", command],
        env=os.environ | GIVES_BACK | {"TQDM_DISABLE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    peak = float(done.stdout.split()[-1])
    return {
        "site": component,
        "vocabulary": vocabulary,
        "memory_mib": memory,
        "peak_mib": round(peak, 1),
        "share": round(peak / memory, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--memory", type=int, nargs="+", default=[32, 64, 128], help="MiB")
    parser.add_argument("--sites", nargs="+", default=list(SITES))
    parser.add_argument("--vocabulary", type=int, nargs="+", default=[1000, 50257])
    parser.add_argument("--out", type=Path, default=TABLES / "patching_memory.csv")
    given = parser.parse_args()
    cells = product(given.sites, given.memory, given.vocabulary)
    rows = [measured(*cell) for cell in cells]
    print(pd.DataFrame(rows).to_string(index=False))
    write_table(given.out, rows)


if __name__ == "__main__":
    main()
