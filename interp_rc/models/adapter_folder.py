"""Folders in which PEFT keeps an adapter: its configuration and its weights, but no model."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from interp_rc.models.checkpoint import read_object
from interp_rc.records.errors import ModelError

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def kind_of_adapter(folder: Path) -> str | None:
    """PEFT's name for the kind of adapter; None if the folder holds a whole model, or nothing."""
    if not (folder / CONFIG).is_file() or (folder / "config.json").is_file():
        return None
    return str(read_object(folder / CONFIG).get("peft_type"))


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Raises ModelError for weights that are missing, broken or not safetensors."""
    if not (folder / WEIGHTS).is_file():
        raise ModelError(f"{folder} holds no {WEIGHTS}; other formats can run code when loaded")
    try:
        return load_file(folder / WEIGHTS)
    except SafetensorError as error:
        raise ModelError(f"{folder / WEIGHTS} cannot be read: {error}; save it again") from error
