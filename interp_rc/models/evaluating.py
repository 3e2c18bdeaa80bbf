"""Evaluation mode for whatever looks at a model: dropout off, and the old mode put back after."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put every module of `model` into evaluation mode, and each back into its own mode after.

    A model comes out of `Trainer.train()` in training mode, and its dropout would then be part of
    every number. Some modules may be in another mode than the rest (a frozen part), so each one's
    own is kept.
    """
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
