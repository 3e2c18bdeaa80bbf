"""What the first layer reads, as the model's own forward makes it, with or without positions."""

from collections.abc import Collection, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from interp_rc.models.adapters.parts import Parts
from interp_rc.models.evaluating import evaluating
from interp_rc.models.machine import device_of
from interp_rc.records.errors import ModelError

REPEATS = 4  # of a token, to see what only its position changes


class _Embedded(Exception):
    """Ends a forward pass once the first layer's input is known."""


def embed(
    model: PreTrainedModel,
    parts: Parts,
    ids: Int[Tensor, "prompt position"],
    silent: Collection[nn.Module] = (),
) -> Float[Tensor, "prompt position width"]:
    """What the first layer reads of some texts; `silent` modules give zeros."""
    stream = {}

    def stop(_: nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, Tensor]) -> None:
        stream["start"] = args[0] if args else kwargs["hidden_states"]
        raise _Embedded

    handles = [parts.blocks[0].whole.register_forward_pre_hook(stop, with_kwargs=True)]
    handles += [
        module.register_forward_hook(lambda _, __, out: torch.zeros_like(out)) for module in silent
    ]
    try:
        model(input_ids=ids)
    except _Embedded:
        pass
    finally:
        for handle in handles:
            handle.remove()
    return stream["start"]


@torch.no_grad()
def embed_without_positions(
    model: PreTrainedModel, parts: Parts, texts: Sequence[Sequence[int]]
) -> list[Float[Tensor, "token width"]]:
    """What the first layer reads of each text, less what tells positions apart there: modules that
    give the same for every text, and something else at each position, give zeros instead.

    Raises ModelError for a model that still tells positions apart.
    """
    device = device_of(model)
    with evaluating(model):
        silent = _position_modules(model, parts)
        same = embed(model, parts, _repeated(model, device, 0), silent)[0]
        if not torch.allclose(same, same[:1].expand_as(same), rtol=1e-2, atol=1e-5):
            raise ModelError(
                f"a model of type {model.config.model_type!r} adds positions in no module of its "
                "own, so the spread of its embeddings alone is not known; give trace() the noise"
            )
        rows = [torch.tensor([ids], device=device) for ids in texts]
        return [embed(model, parts, row, silent)[0].to(device) for row in rows]


def _position_modules(model: PreTrainedModel, parts: Parts) -> list[nn.Module]:
    device = device_of(model)
    outputs: list[dict[nn.Module, Tensor]] = []
    for which in range(2):
        given: dict[nn.Module, Tensor] = {}

        def keep(
            module: nn.Module, _: object, out: object, given: dict[nn.Module, Tensor] = given
        ) -> None:
            if isinstance(out, Tensor) and out.ndim > 1 and out.shape[-2] == REPEATS:
                given[module] = out

        handles = [module.register_forward_hook(keep) for module in model.modules()]
        try:
            embed(model, parts, _repeated(model, device, which))
        finally:
            for handle in handles:
                handle.remove()
        outputs.append(given)
    return [
        module
        for module, out in outputs[0].items()
        if module in outputs[1]
        if torch.equal(out, outputs[1][module])
        if not torch.equal(out, out[..., :1, :].expand_as(out))
    ]


def _repeated(model: PreTrainedModel, device: torch.device, which: int) -> Int[Tensor, "1 4"]:
    """One of two texts that repeat an ordinary token: padding may have a position of its own."""
    config = model.config.get_text_config()
    special = {getattr(config, f"{name}_token_id", None) for name in ("pad", "bos", "eos")}
    ordinary = [token for token in range(min(config.vocab_size, 8)) if token not in special]
    return torch.full((1, REPEATS), ordinary[which], device=device)
