"""Put other states into an encoder's layers while it reads."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from interp_rc.models.encoder import Encoder
from interp_rc.records.errors import ModelError


def blocks(encoder: Encoder) -> nn.ModuleList:
    """The layers of the transformer inside, first to last.

    Raises ModelError unless exactly one list of modules is as long as the encoder has layers.
    """
    many = getattr(encoder.body.config, "num_hidden_layers", None)
    found = [
        module
        for module in encoder.body.modules()
        if isinstance(module, nn.ModuleList) and len(module) == many
    ]
    # Where there are several, the outermost is named first; those inside belong to its layers.
    outer = [one for one in found if not any(one in set(o.modules()) - {o} for o in found)]
    if len(outer) != 1:
        raise ModelError(
            f"{len(outer)} lists of {many} layers were found inside this encoder, and its states "
            "can be exchanged where there is one; give another (BERT, RoBERTa, MPNet have one)"
        )
    return outer[0]


@contextmanager
def edited(
    encoder: Encoder,
    layer: int,
    there: Bool[Tensor, "text pos"],
    values: Float[Tensor, "text pos width"],
) -> Iterator[None]:
    """Inside, what has passed `layer` blocks (0: the embeddings) is `values` where `there` says,
    in every batch of that shape that the encoder reads.

    Raises ModelError at the end if nothing was read inside, or in another shape.
    """
    met = []

    def exchange(stream: Tensor) -> Tensor:
        if stream.shape != values.shape:
            raise ModelError(
                f"states of shape {list(values.shape)} do not fit a batch of shape "
                f"{list(stream.shape)}; read the texts in the batch that they were made for"
            )
        met.append(layer)
        return torch.where(there[..., None], values.to(stream), stream)

    def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if args:
            return (exchange(args[0]), *args[1:]), kwargs
        return args, kwargs | {"hidden_states": exchange(kwargs["hidden_states"])}

    def after(_: nn.Module, __: Any, out: Any) -> Any:
        return (exchange(out[0]), *out[1:]) if isinstance(out, tuple) else exchange(out)

    layers = blocks(encoder)
    if layer == 0:
        handle = layers[0].register_forward_pre_hook(before, with_kwargs=True)
    else:
        handle = layers[layer - 1].register_forward_hook(after)
    try:
        yield
    finally:
        handle.remove()
    if not met:
        raise ModelError(f"nothing was read while the states after {layer} blocks were exchanged")
