"""One fact written into one layer by a rank-one change of its `down` (ROME)."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from interp_rc.models.load import Loaded
from interp_rc.records.errors import DataError
from interp_rc.tools.editing.keys import mean_keys
from interp_rc.tools.editing.rank_one import RankOne
from interp_rc.tools.editing.requests import Request, asking
from interp_rc.tools.editing.values import SEARCH, Search, changes_sought

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
    [found] = jointly(layer, key[None], change[None], moments)
    return found


def together(
    model: Loaded,
    requests: Sequence[Request],
    layer: int,
    moments: Float[Tensor, "neuron neuron"],
    *,
    weight: float = 0.0,
    search: Search = SEARCH,
) -> list[RankOne]:
    """One change of the layer's matrix for all requests at once, as rank-one edits to be made
    together; `weight` as in `jointly`."""
    keys = mean_keys(model, asking(model, requests), [layer])[:, 0]
    return jointly(layer, keys, changes_sought(model, requests, layer, search), moments, weight)


def jointly(
    layer: int,
    keys: Float[Tensor, "request neuron"],
    changes: Float[Tensor, "request width"],
    moments: Float[Tensor, "neuron neuron"],
    weight: float = 0.0,
) -> list[RankOne]:
    """Δ = R Kᵀ (λ C + K Kᵀ)⁻¹, MEMIT's least squares in one layer (Meng et al. 2022,
    arXiv:2210.07229, eq. 14), with R the changes and λ the `weight` of what should stay.

    Taken as R (λ + Kᵀ C⁻¹ K)⁻¹ Kᵀ C⁻¹, which is the same and holds for λ = 0 too: every request
    then gets its whole change, so that of one request alone it is ROME's. Keys that depend on each
    other cannot all get one: a `DataError` then, unless λ > 0.
    """
    solved = torch.linalg.solve(moments.double(), keys.double().T)
    gram = keys.double() @ solved + weight * torch.eye(len(keys), dtype=torch.float64)
    low, high = torch.linalg.eigvalsh(gram)[[0, -1]].tolist()
    if not low > 1e-12 * high:
        raise DataError(
            f"the keys of {len(keys)} edits of layer {layer} depend on each other, so that not "
            "all can be made exactly; give fewer, or a weight above 0"
        )
    directions = torch.linalg.solve(gram, solved.T)
    return [
        RankOne(layer, direction, change.double())
        for direction, change in zip(directions, changes, strict=True)
    ]


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
