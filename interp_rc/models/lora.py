"""A LoRA adapter inside the model it was trained in (Hu et al. 2021, arXiv:2106.09685)."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from peft import LoraConfig, PeftModelForCausalLM, set_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils.other import AuxiliaryTrainingWrapper
from torch import Tensor, nn
from transformers import PreTrainedModel

from interp_rc.models.adapter_folder import CONFIG, read_weights
from interp_rc.models.checkpoint import explaining, in_one_line, read_object
from interp_rc.models.finite import check_finite
from interp_rc.records.errors import ModelError

Switched = Any  # PEFT's BaseTunerLayer or AuxiliaryTrainingWrapper, which tell no types

# Kinds that begin by changing the base model's own weights.
CHANGES_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")
# In the names of an adapter's own weights.
OF_ADAPTERS = ("lora_", "modules_to_save", "trainable_tokens")


def base_of(folder: Path) -> tuple[str, str | None]:
    """Where the adapter's base model is, and its revision: a folder (as it is written, or seen
    from the adapter's own), or else a hub id. Raises ModelError if the adapter does not say."""
    config = read_object(folder / CONFIG)
    named = config.get("base_model_name_or_path")
    if not isinstance(named, str) or not named:
        raise ModelError(
            f"{folder / CONFIG} does not name the adapter's base model; write its folder or hub id "
            'into "base_model_name_or_path"'
        )
    beside = folder / named
    return str(beside if beside.is_dir() else named), config.get("revision")


def read_lora(folder: Path, model: PreTrainedModel) -> PreTrainedModel:
    """`model` with the adapter of a folder in its layers, not merged; it can be switched off.

    DoRA is LoRA too. Raises ModelError for a kind that cannot be switched off again or needs more
    than its layers, and for weights that are missing or do not fit.
    """
    weights = read_weights(folder)
    with explaining(partial(_unfit, folder)):
        config = LoraConfig.from_pretrained(str(folder))
        _check(folder, config)
        _check_rank(folder, config, weights)
        _refuse_base_weights(folder, config, weights, model)
        config.inference_mode = True
        inside = PeftModelForCausalLM(model, config)
        left = set_peft_model_state_dict(inside, weights)
    lacking = [name for name in left.missing_keys if any(part in name for part in OF_ADAPTERS)]
    if lacking or left.unexpected_keys:
        name = min([*lacking, *left.unexpected_keys])
        raise ModelError(f"{folder} holds an adapter of another model: see {name}; give its own")
    check_finite(inside, str(folder))
    return cast(PreTrainedModel, inside.base_model.model)


def _unfit(folder: Path, error: BaseException) -> str:
    return (
        f"{folder} holds no adapter that fits its base model: {in_one_line(error)}; give its own "
        f"base model, and the {CONFIG} that was saved with its weights"
    )


def _refuse_base_weights(
    folder: Path, config: LoraConfig, weights: Mapping[str, Tensor], model: PreTrainedModel
) -> None:
    """An adapter whose vocabulary was resized brings the base's own matrices along."""
    base, whole = model.state_dict(), set(config.modules_to_save or ())
    for name, weight in weights.items():
        if any(part in name for part in OF_ADAPTERS) or whole & set(name.split(".")):
            continue
        own = base.get(name.removeprefix("base_model.model."))
        if own is not None and own.shape == weight.shape and torch.equal(own.to(weight), weight):
            continue
        is_here = "" if own is None else f" ({_shape(own)} in its base)"
        raise ModelError(
            f"{folder} holds {name} of shape {_shape(weight)}{is_here}, a weight of the base that "
            "was changed with the adapter, as when a vocabulary is resized, and cannot be switched "
            "off; merge the adapter into that model first"
        )


def _shape(weight: Tensor) -> str:
    return " x ".join(map(str, weight.shape))


def _check_rank(folder: Path, config: LoraConfig, weights: Mapping[str, Tensor]) -> None:
    """What the configuration asks for is made before it is filled: it must be what is there."""
    largest = max((max(weight.shape, default=1) for weight in weights.values()), default=1)
    for rank in (config.r, *config.rank_pattern.values()):
        if rank > largest:
            raise ModelError(
                f"{folder / CONFIG} names a rank of {rank}, and no weight beside it is that large; "
                "give the configuration that was saved with them"
            )


def has_lora(model: PreTrainedModel) -> bool:
    return any(isinstance(module, LoraLayer) for module in model.modules())


def adapters_in(model: nn.Module) -> list[Switched]:
    """PEFT's layers that are switched on, and modules that were trained whole beside them."""
    kinds = (BaseTunerLayer, AuxiliaryTrainingWrapper)
    layers = (module for module in model.modules() if isinstance(module, kinds))
    return [layer for layer in layers if not layer.disable_adapters]


@contextmanager
def switched_off(adapters: Sequence[Switched]) -> Iterator[None]:
    """Inside, these compute what the base model does."""
    # Which weights are trained is switched along, and is not ours to change.
    trained = [(p, p.requires_grad) for module in adapters for p in module.parameters()]
    for module in adapters:
        module.enable_adapters(False)
    try:
        yield
    finally:
        for module in adapters:
            module.enable_adapters(True)
        for parameter, was in trained:
            parameter.requires_grad_(was)


def _check(folder: Path, config: LoraConfig) -> None:
    begins = str(config.init_lora_weights).lower()
    faults = {
        "trains biases of the base": config.bias != "none",
        f"begins by changing the base ({begins})": begins.startswith(CHANGES_BASE),
        "repeats layers": bool(config.layer_replication),
        "waits for certain tokens (aLoRA)": bool(config.alora_invocation_tokens),
        "chooses between adapters (Arrow)": config.arrow_config is not None,
    }
    for what, is_so in faults.items():
        if is_so:
            raise ModelError(
                f"{folder} holds a LoRA adapter that {what}, which cannot be switched off layer by "
                "layer; merge it into its model first"
            )
