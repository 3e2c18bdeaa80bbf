"""Rank-one changes of the matrices that turn a layer's neurons into what its MLP writes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.load import Loaded
from interp_rc.records.errors import ModelError
from interp_rc.tools.gradients.training_steps import restored


@dataclass(frozen=True, slots=True)
class RankOne:
    """What `down` of a layer makes of its input x gains value · (key · x)."""

    layer: int
    key: Float[Tensor, " neuron"]
    value: Float[Tensor, " width"]


@contextmanager
def edited(model: Loaded, edits: Sequence[RankOne]) -> Iterator[None]:
    """Inside, the model's weights have all the edits; afterwards they are bit for bit as before.

    Where a LoRA adapter stands beside a matrix, the matrix under it is changed, which changes their
    sum by as much; nothing is merged. Raises ModelError for a layer that the model does not have,
    vectors of other lengths than its matrix, a DoRA adapter (which scales the sum), and for a
    module that is neither `nn.Linear` nor GPT-2's `Conv1D`.
    """
    adapter = Adapter(model.model)
    changes = [(down_weight(adapter, one.layer), one) for one in edits]
    for (weight, _), one in changes:
        found = tuple(one.key.shape), tuple(one.value.shape)
        wanted = (weight.shape[1],), (weight.shape[0],)
        if found != wanted:
            raise ModelError(
                f"an edit of layer {one.layer} has a key of shape {found[0]} and a value of shape "
                f"{found[1]}; the layer needs {wanted[0]} and {wanted[1]}"
            )
    with restored(model.model, [parameter for (_, parameter), _ in changes]):
        with torch.no_grad():
            for (weight, _), one in changes:
                weight.addr_(one.value.to(weight), one.key.to(weight))
        yield


def down_weight(adapter: Adapter, layer: int) -> tuple[Float[Tensor, "width neuron"], nn.Parameter]:
    """The matrix of a layer's `down`, as a view of the parameter that holds it, and the parameter.

    Raises ModelError as `edited` does.
    """
    if not 0 <= layer < adapter.layers:
        raise ModelError(f"this model has no layer {layer}; it has {adapter.layers}")
    module: Any = adapter.by_layers.parts.blocks[layer].down
    if isinstance(module, LoraLayer):
        if any(getattr(module, "use_dora", {}).values()):
            raise ModelError(
                f"the MLP of layer {layer} has a DoRA adapter, which scales the matrix under it; "
                "merge it into its model first"
            )
        module = module.get_base_layer()
    known = isinstance(module, nn.Linear | Conv1D)
    if not known or not module.weight.is_floating_point():
        raise ModelError(
            f"the MLP of layer {layer} ends in a {type(module).__name__}, whose weights cannot be "
            "written; load the model with plain linear layers, in float32 or bfloat16"
        )
    weight: nn.Parameter = module.weight
    return (weight.T if isinstance(module, Conv1D) else weight), weight
