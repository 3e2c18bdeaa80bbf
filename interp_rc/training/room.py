"""What a training will write, compared with what is free before it begins."""

from pathlib import Path

from torch import nn

from interp_rc.records.disk import MIB, check_room, size_of
from interp_rc.training.options import Schedule

KEPT = 2
"""Checkpoints; while a new one is written, one more."""


def check_room_for_training(
    model: nn.Module, options: Schedule, updates: int, checkpoints: Path
) -> None:
    """Raises RunError if what training writes does not fit beside `checkpoints`: each checkpoint
    holds the weights and two moments of every one that learns, and the trained model comes last."""
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    moments = 2 * sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    at_once = min(KEPT + 1, updates // options.checkpoint_steps)
    last = min(KEPT, at_once)
    needed = max(at_once * (weights + moments), last * (weights + moments) + weights)
    there = size_of(checkpoints)
    check_room(
        checkpoints.parent,
        max(0, needed - there),
        f"training ({at_once} checkpoints of {(weights + moments) / MIB:,.1f} MiB at once, then "
        f"a model of {weights / MIB:,.1f} MiB)",
    )
