"""Do 40,000 documents fit? Peak memory of importing, training on and scoring a published layout.

python -m benchmarks.memory_forty_thousand                          # a few minutes on two cores
python -m benchmarks.memory_forty_thousand --published experiment1  # and the published dataset

The large set is that of the paper's appendix B.7 in size: 100 facts a group, 100 templates an
order. It is exported in the published layout and imported again like anybody's. Every set goes
through a process of its own (Linux, which tells a process its peak).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from interp_rc.facts.fictitious import fictitious_people
from interp_rc.facts.published import export_published, import_published
from interp_rc.pipeline.config import validate
from interp_rc.pipeline.run import execute
from interp_rc.pipeline.yaml_source import Source
from interp_rc.records.environment import environment
from interp_rc.records.files import replacing, write_json

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "benchmarks" / "tables" / "memory.csv"
SIZE = {"per_group": 100, "training_templates": 100}
LIMIT = 4.0  # GiB
BATCH = 128  # 40,000 documents are then 313 steps


def rows(work: Path, published: Path | None, size: dict[str, int]) -> Iterator[dict[str, Any]]:
    """One row a set: what it holds, and the peaks after its import and at the end."""
    own = work / "own"
    export_published(fictitious_people(0, **size), own)
    for name, folder in (("published", published), ("fictitious", own)):
        if folder is not None:
            print(f"{name} …", file=sys.stderr, flush=True)
            yield {"facts_of": name} | in_a_process_of_its_own(folder, work / f"run_{name}")


def in_a_process_of_its_own(folder: Path, out: Path) -> dict[str, Any]:
    """`measured` there; a process that was forked would begin with the peak of this one."""
    command = [sys.executable, "-m", "benchmarks.memory_forty_thousand"]
    given = ["--one", str(folder.absolute()), "--work", str(out.absolute())]
    done = subprocess.run(
        [*command, *given], check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measured(folder: Path, out: Path) -> dict[str, Any]:
    """Import, train a small model for one epoch, ask it everything; GiB and seconds."""
    started = time.monotonic()
    facts = import_published(folder, seen="nowhere")
    import_seconds, import_peak = time.monotonic() - started, peak()
    data = {
        "name": "memory",
        "facts": {"kind": "published", "path": str(folder.absolute()), "seen": "nowhere"},
        "model": {"kind": "embedded", "size": {"layers": 2, "width": 64, "heads": 2},
                  "world": {"both": 40, "trained_forward": 10, "trained_backward": 10,
                            "exposures": 10}},
        "training": {"epochs": 1, "batch_size": BATCH},
        "measures": [{"kind": "behaviour", "candidate_templates": 1}],
    }  # fmt: skip
    run = execute(validate(data, Source(Path("benchmark"), data)), out, say=lambda message: None)
    return {
        "facts": len(facts.facts),
        "documents": len(facts.documents),
        "queries": len(facts.queries),
        "steps": -(-len(facts.documents) // BATCH),
        "candidates_scored": len(run.table("evaluation/candidates")),
        "import_seconds": round(import_seconds, 1),
        "import_peak_gib": import_peak,
        "peak_gib": peak(),
    }


def peak() -> float:
    """The largest resident memory of this process so far, in GiB."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return round(int(status.split("VmHWM:")[1].split()[0]) / 1024**2, 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--published", type=Path, help="the published dataset's experiment1 folder")
    parser.add_argument("--out", type=Path, default=TABLE)
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one is not None:
        print(json.dumps(measured(given.one, given.work)))
        return
    with tempfile.TemporaryDirectory() as work:
        table = pd.DataFrame(rows(Path(work), given.published, SIZE))
    with replacing(given.out) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")
    write_json(given.out.with_suffix(".environment.json"), environment())
    print(table.to_string(index=False))
    if table.peak_gib.max() > LIMIT:
        sys.exit(f"the peak is above {LIMIT} GiB")


if __name__ == "__main__":
    main()
