"""Which checkpoint a killed training continues from."""

import shutil
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from interp_rc.records.errors import DataError
from interp_rc.records.files import write_json
from interp_rc.records.manifest import FILE, digests_of
from interp_rc.records.strict_json import read_json

# Trainer writes trainer_state.json last, and we the digests of all behind it. It resumes silently
# with a fresh optimizer when optimizer.pt is missing, so that a checkpoint without one must never
# be passed to it.
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


class Sealer(TrainerCallback):
    """Writes the digests of a checkpoint's files into it, last of all."""

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        checkpoint = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
        write_json(checkpoint / FILE, digests_of(checkpoint, [checkpoint]))


def _is_whole(checkpoint: Path) -> bool:
    if not all((checkpoint / name).is_file() for name in NEEDED):
        return False
    if not any(checkpoint.glob("*.safetensors")):
        return False
    try:
        digests: Any = read_json(checkpoint / FILE)
        there = digests_of(checkpoint, [checkpoint / name for name in digests])
        return bool(digests) and there == digests
    except (DataError, OSError, TypeError, ValueError):
        return False
