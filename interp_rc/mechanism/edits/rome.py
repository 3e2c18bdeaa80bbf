"""One fact written into one layer by a rank-one change of its `down` (ROME)."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from interp_rc.mechanism.edits.keys import mean_keys
from interp_rc.mechanism.edits.rank_one import RankOne
from interp_rc.mechanism.edits.requests import Request, asking
from interp_rc.mechanism.edits.values import SEARCH, Search, changes_sought
from interp_rc.models.load import Loaded
from interp_rc.records.errors import DataError

RIDGE = 1e-4  # of the mean of the diagonal, added to it where the moments are singular


def rome(
    model: Loaded,
    requests: Sequence[Request],
    layer: int,
    moments: Float[Tensor, "neuron neuron"],
    *,
    search: Search = SEARCH,
) -> list[RankOne]:
    """An edit of each request by itself (Meng et al. 2022, arXiv:2202.05262, section 3.1).

    The key k* is the mean of what the layer's neurons hold at the source's last token; the value
    v* = W k* + change, with the change that `changes_sought` finds; Λ (C⁻¹ k*)ᵀ is what makes
    W' k* = v* and changes W as little as can be on the keys whose second moment is C (eq. 2;
    `second_moments`, made invertible by `invertible`). In Gemma 2 and 3 all this is before the
    norm that follows the MLP.
    """
    keys = mean_keys(model, asking(model, requests), [layer])[:, 0]
    changes = changes_sought(model, requests, layer, search)
    return [
        rank_one(layer, key, change, moments) for key, change in zip(keys, changes, strict=True)
    ]


def rank_one(
    layer: int,
    key: Float[Tensor, " neuron"],
    change: Float[Tensor, " width"],
    moments: Float[Tensor, "neuron neuron"],
) -> RankOne:
    """W' = W + Λ (C⁻¹ k*)ᵀ with Λ = (v* - W k*) / ((C⁻¹ k*)ᵀ k*) (eq. 2 and section 3.1)."""
    direction = torch.linalg.solve(moments.double(), key.double())
    return RankOne(layer, direction, change.double() / (direction @ key.double()))


def invertible(moments: Float[Tensor, "neuron neuron"]) -> Float[Tensor, "neuron neuron"]:
    """Second moments as they are if they can be inverted in float64, else with a ridge of
    `RIDGE` times the mean of their diagonal. Raises DataError where all keys are zero."""
    mean = float(moments.diagonal().mean())
    if not mean > 0:
        raise DataError("all keys of the texts are zero; give texts that the model's neurons see")
    low, high = torch.linalg.eigvalsh(moments)[[0, -1]].tolist()
    if low > 1e-12 * high:
        return moments
    return moments + RIDGE * mean * torch.eye(len(moments), dtype=moments.dtype)
