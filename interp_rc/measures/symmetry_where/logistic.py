"""Many logistic regressions on the same rows at once, each with its own labels and rows left out.

scikit-learn's takes five milliseconds for one of them, most of it checks; a permutation test over
layers and places needs tens of thousands.
"""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

STEPS, SMALL = 100, 1e-4
AT_ONCE = 500
"""Fits; each needs a matrix of its own."""


def scores(
    rows: Float[np.ndarray, "row width"],
    labels: Bool[np.ndarray, "fit row"],
    trained: Bool[np.ndarray, "fit row"],
) -> Float[np.ndarray, "fit row"]:
    """Log-odds of the label, of every row by every fit.

    As scikit-learn's `LogisticRegression(C=1, class_weight="balanced")` on the rows that are
    `trained` on: both labels weigh the same, weights are shrunk, the constant is not. By Newton's
    method, halving steps that do not lower the loss.
    """
    turned = torch.from_numpy(_turned(rows))
    x = torch.cat([turned, torch.ones(len(rows), 1, dtype=torch.float64)], 1)
    y, used = torch.from_numpy(labels).double(), torch.from_numpy(trained).double()
    parts = [slice(first, first + AT_ONCE) for first in range(0, len(y), AT_ONCE)]
    return torch.cat([_fitted(x, y[part], used[part]) for part in parts]).numpy()


def _fitted(
    x: Float[Tensor, "row column"], y: Float[Tensor, "fit row"], used: Float[Tensor, "fit row"]
) -> Float[Tensor, "fit row"]:
    many = used.sum(1, keepdim=True) / 2
    positive = (used * y).sum(1, keepdim=True)
    weight = used * torch.where(y > 0, many / positive, many / (2 * many - positive))
    penalty = torch.ones(x.shape[1], dtype=torch.float64)
    penalty[-1] = 0

    def loss(w: Tensor) -> Tensor:
        odds = w @ x.T
        misfit = torch.nn.functional.softplus(torch.where(y > 0, -odds, odds))
        return (weight * misfit).sum(1) + (penalty * w.square()).sum(1) / 2

    w = torch.zeros(len(y), x.shape[1], dtype=torch.float64)
    for _ in range(STEPS):
        p = torch.sigmoid(w @ x.T)
        slope = (weight * (p - y)) @ x + penalty * w
        if slope.abs().max() < SMALL:
            break
        curve = torch.einsum("fr,ri,rj->fij", weight * p * (1 - p), x, x) + penalty.diag()
        step = torch.linalg.solve(curve, slope)
        w = _lowered(loss, w, step)
    return w @ x.T


def _lowered(loss: Callable[[Tensor], Tensor], w: Tensor, step: Tensor) -> Tensor:
    """A step on, or as small a part of it as does not raise the loss."""
    before, size = loss(w), torch.ones(len(w), 1, dtype=torch.float64)
    for _ in range(30):
        higher = loss(w - size * step) > before + 1e-12
        if not higher.any():
            break
        size[higher] /= 2
    return w - size * step


def _turned(rows: Float[np.ndarray, "row width"]) -> Float[np.ndarray, "row rank"]:
    """The rows in coordinates of the space that they span, centred, with entries of size one.

    Shrunk weights lie in that space, so that nothing is lost by leaving the rest out.
    """
    centred = np.asarray(rows, float) - np.mean(rows, 0, dtype=float)
    size = np.sqrt(np.square(centred).mean())
    left, values, _ = np.linalg.svd(centred / (size or 1.0), full_matrices=False)
    return left * values
