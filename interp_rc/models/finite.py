"""Weights that are NaN or infinite, named before anything is blamed on what they lead to."""

import torch
from torch import nn

from interp_rc.records.errors import ModelError


def check_finite(model: nn.Module, source: str = "the model") -> None:
    """Raise ModelError, naming `source` and the first tensor, for weights that are not finite.

    One such value is enough to make every number of the model NaN, which would then be put down to
    an adapter, a test or a learning rate. Weights that are elsewhere (on "meta") are not looked at.
    """
    broken = [(name, weights) for name, weights in model.named_parameters() if not _finite(weights)]
    if broken:
        name, weights = broken[0]
        count = int((~weights.isfinite()).sum())
        what = "NaN" if bool(weights.isnan().any()) else "infinite"
        others = f"; so are values of {len(broken) - 1} other tensors" if len(broken) > 1 else ""
        raise ModelError(
            f"{source} holds weights that are no numbers: {count} of {weights.numel()} values of "
            f"{name} are {what}{others}; give another checkpoint"
        )


def _finite(weights: torch.Tensor) -> bool:
    if weights.is_meta or not weights.is_floating_point() or weights.element_size() < 2:
        return True
    return bool(weights.isfinite().all())
