"""What adds up to the last layer's output, and norms at a fixed scale: then all is linear."""

from collections.abc import Iterator
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from interp_rc.models.adapters.layerwise import Layerwise
from interp_rc.models.dimensions import heads_of
from interp_rc.models.machine import device_of
from interp_rc.records.errors import ModelError

Stream = Float[Tensor, "token width"]


def written_by_heads(
    layers: Layerwise, layer: int, z: Float[Tensor, "token heads"]
) -> Iterator[Stream]:
    """What each head writes: its part of `z` through its slice of the output projection.

    Without the projection's bias, and before a norm after attention.
    """
    bias = projected(layers, layer, torch.zeros_like(z[:1]))
    by_head = rearrange(z, "token (head width) -> token head width", head=heads_of(layers.model))
    for head in range(by_head.shape[1]):
        alone = torch.zeros_like(by_head)
        alone[:, head] = by_head[:, head]
        alone = rearrange(alone, "token head width -> token (head width)")
        yield projected(layers, layer, alone) - bias


def projected(layers: Layerwise, layer: int, z: Float[Tensor, "token heads"]) -> Stream:
    """Through the whole output projection, its bias included."""
    out: Tensor = layers.parts.blocks[layer].project(z.to(layers.devices[layer]))
    return out.to(layers.home)


def at_scale_of(norm: nn.Module | None, whole: Stream, part: Stream) -> Stream:
    """What a norm makes of a part of its input while its scale is that of the whole; in float64.

    Parts then add up: norm(whole) is their sum and the norm's bias. LayerNorm takes off each
    part's mean, RMS norms do not. Raises ModelError for other norms.
    """
    if norm is None:
        return part.double()
    device = part.device
    gained = at_unit_scale(norm, whole)
    weight: Tensor = norm.weight  # type: ignore[assignment]
    made = norm(whole.to(weight.device)).to(device).double() - bias_of(norm, device)
    # What the norm did tells its scale, whatever it adds below the root.
    scale = (made * gained).sum(-1, keepdim=True) / gained.square().sum(-1, keepdim=True).clamp(
        min=torch.finfo(torch.float64).tiny
    )
    return at_unit_scale(norm, part) * scale


def at_unit_scale(norm: nn.Module | None, part: Stream) -> Stream:
    """What a norm makes of a part of its input but for its scale and bias; in float64.

    LayerNorm takes off the part's mean, RMS norms do not. Raises ModelError for other norms.
    """
    if norm is None:
        return part.double()
    name = type(norm).__name__
    centred = isinstance(norm, nn.LayerNorm)
    if not centred and not name.endswith("RMSNorm"):
        raise ModelError(f"{name} is neither LayerNorm nor an RMS norm; parts cannot go through it")
    weight: Tensor = norm.weight  # type: ignore[assignment]
    gain = weight.to(part.device).double() + name.startswith(
        "Gemma"
    )  # which keep the gain less one
    part = part.double()
    return gain * (part - part.mean(-1, keepdim=True) if centred else part)


def bias_of(module: nn.Module | None, device: torch.device) -> Float[Tensor, " width"]:
    """In float64; zero of a module that has none."""
    bias = getattr(module, "bias", None)
    if bias is None:
        return torch.zeros(1, dtype=torch.float64, device=device)
    return bias.detach().to(device).double()


@torch.no_grad()
def matrix_of(module: nn.Module) -> Float[Tensor, "input output"]:
    """The matrix of an affine module, whatever its class: what it makes of the unit vectors."""
    dtype = next(module.parameters()).dtype
    inputs: Any = getattr(module, "in_features", None) or getattr(module, "nx", 0)
    units = torch.eye(inputs, dtype=dtype, device=device_of(module))
    return module(units) - module(torch.zeros_like(units[:1]))
