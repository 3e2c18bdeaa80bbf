"""Which checkpoint a killed training continues from."""

import json
import shutil
from pathlib import Path

# Trainer writes trainer_state.json last. It resumes silently with a fresh optimizer when
# optimizer.pt is missing, so that a checkpoint without one must never be passed to it.
NEEDED = ("optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json")


def newest_whole(folder: Path) -> Path | None:
    """The newest checkpoint of which every file is there; broken ones are deleted."""
    found = sorted(folder.glob("checkpoint-*"), key=step_of)
    for checkpoint in reversed(found):
        if _is_whole(checkpoint):
            return checkpoint
        shutil.rmtree(checkpoint)
    return None


def step_of(checkpoint: Path) -> int:
    """The number of steps taken when it was made."""
    return int(checkpoint.name.split("-")[1])


def _is_whole(checkpoint: Path) -> bool:
    if not all((checkpoint / name).is_file() for name in NEEDED):
        return False
    if not any(checkpoint.glob("*.safetensors")):
        return False
    try:
        json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True
