"""Load and save Hugging Face language models: safetensors only, no remote code."""

import logging
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from transformers import (
    AutoConfig,
    GenerationConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from interp_rc.models.adapter_folder import CONFIG as ADAPTER_CONFIG
from interp_rc.models.adapter_folder import kind_of_adapter
from interp_rc.models.auto_class import auto_class
from interp_rc.models.checkpoint import (
    CONFIG,
    GENERATION,
    Weights,
    check_ends,
    check_numbers,
    check_size,
    explaining,
    in_one_line,
    read_object,
)
from interp_rc.models.finite import check_finite
from interp_rc.models.hub import only_in_cache
from interp_rc.models.lora import base_of, has_lora, read_lora
from interp_rc.models.machine import device_of
from interp_rc.models.soft_prompt import BASE, SoftPrompted, read_soft_prompt
from interp_rc.models.tokenizer_files import check_tokens, read_tokenizer
from interp_rc.models.trial import check_computes
from interp_rc.models.whole import refuse_partly_loaded
from interp_rc.records.errors import ModelError
from interp_rc.records.files import replacing_folder
from interp_rc.records.manifest import check_part

Dtype = Literal["float32", "bfloat16"]
SPREAD = "spread"


class Loaded(NamedTuple):
    """A model in evaluation mode with its tokenizer."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


def load(
    source: str | Path,
    *,
    revision: str | None = None,
    dtype: Dtype = "float32",
    device: str = "cpu",
) -> Loaded:
    """A model by hub id and revision, or from a folder; a soft prompt with the base beside it; a
    LoRA adapter inside its base, which is not changed: they are not merged.

    Models that fill in masks (BERT, RoBERTa) are loaded as such: they can be looked into, and not
    be asked to go on. On the device "spread", layers go to all that there are (accelerate's
    `device_map="auto"`).

    Raises ModelError when the folder or the hub does not give a whole model: missing files,
    weights that are not safetensors, code of its own, no network and not in the cache; weights
    that the model lacks or has no place for, or that are no numbers; files that do not fit
    together. Raises RunError for the model of a run that is not what the run wrote.
    """
    folder = Path(source)
    if folder.is_dir():
        check_part(folder)
    adapter = kind_of_adapter(folder)
    if adapter is not None:
        loads = {"PROMPT_TUNING": _load_soft_prompt, "LORA": _load_lora}
        if adapter not in loads:
            raise ModelError(
                f"{folder} holds an adapter of type {adapter}; merge it into its model first"
            )
        return loads[adapter](folder, dtype, device)
    if folder.is_dir():
        _check_folder(folder)
        cached = False
    elif isinstance(source, Path) or str(source).startswith((".", "/", "~")):
        raise ModelError(f"model folder {source} not found; check the path")
    else:
        cached = only_in_cache(str(source), revision)
    return _load_whole(str(source), dtype, device, revision=revision, local_files_only=cached)


def _load_whole(source: str, dtype: Dtype, device: str, **options: Any) -> Loaded:
    options |= {"trust_remote_code": False}
    with quiet():
        config, kind = _read_config(source, options)
        tokenizer = read_tokenizer(source, **options)
        with explaining(partial(_explain, source, "")):
            model, info = kind.from_pretrained(
                source,
                config=config,
                dtype=getattr(torch, dtype),
                use_safetensors=True,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
                **({"device_map": "auto"} if device == SPREAD else {}),
                **options,
            )
    if getattr(model, "_hf_peft_config_loaded", False):
        raise ModelError(
            f"{source} holds a model and an adapter of one; move the adapter into a folder of its "
            "own, and give the one that you mean"
        )
    refuse_partly_loaded(source, model, info)
    check_finite(model, source)
    model = (model if device == SPREAD else model.to(device)).eval()
    tokenizer = check_tokens(source, model, tokenizer)
    if device != SPREAD:  # weights that come and go would be read once more
        check_computes(source, model)
    return Loaded(model, tokenizer)


def _read_config(source: str, options: dict[str, Any]) -> tuple[PreTrainedConfig, Any]:
    """The configuration, which describes a model of the size of the weights beside it, and the
    class that finds the model's own."""
    folder = Path(source)
    weights = Weights(sorted(folder.glob("*.safetensors"))) if folder.is_dir() else None
    if weights is not None:
        written = read_object(folder / CONFIG)
        check_numbers(folder / CONFIG, written, weights)
        if not written.get("quantization_config"):
            weights.check_kinds(folder / CONFIG)
    with explaining(partial(_explain, source, CONFIG)):
        config = AutoConfig.from_pretrained(source, **options)
        try:
            kind = auto_class(config)
        except ModelError as error:
            raise ModelError(f"{source}: {error}") from error
    if weights is not None:
        check_size(folder / CONFIG, kind, config, weights)
    if (folder / GENERATION).is_file():
        with explaining(partial(_explain, source, GENERATION)):
            settings = read_object(folder / GENERATION)
            check_ends(folder / GENERATION, settings)
            GenerationConfig.from_dict(settings)
    return config, kind


def _load_soft_prompt(folder: Path, dtype: Dtype, device: str) -> Loaded:
    beside = folder.absolute().parent / BASE
    if not beside.is_dir():
        raise ModelError(
            f"{folder} holds a soft prompt and needs its base model in {beside}, which is not "
            "there; copy both folders"
        )
    base = load(beside, dtype=dtype, device=device)
    prompted = read_soft_prompt(folder, base.model).to(device_of(base.model)).eval()
    if device != SPREAD:
        check_computes(folder, prompted, ADAPTER_CONFIG)
    return Loaded(prompted, base.tokenizer)


def _load_lora(folder: Path, dtype: Dtype, device: str) -> Loaded:
    source, revision = base_of(folder)
    try:
        base = load(source, revision=revision, dtype=dtype, device=device)
    except ModelError as error:
        raise ModelError(f"the base model of the adapter in {folder}: {error}") from error
    model = read_lora(folder, base.model)
    model = (model if device == SPREAD else model.to(device)).eval()
    if device != SPREAD:
        check_computes(folder, model, ADAPTER_CONFIG)
    tokenizer = base.tokenizer
    if (folder / "tokenizer_config.json").is_file():
        with quiet():
            tokenizer = read_tokenizer(str(folder))
        tokenizer = check_tokens(str(folder), model, tokenizer)
    return Loaded(model, tokenizer)


def _check_folder(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} holds no model (no config.json); give a Hugging Face folder")
    if not any(folder.glob("*.safetensors")):
        raise ModelError(
            f"{folder} holds no *.safetensors weights; other formats can run code when loaded and "
            "are not read: save the model with safe_serialization first"
        )


def _explain(source: str, file: str, error: BaseException) -> str:
    """What went wrong with a file of `source` (or with its weights: ""), and what to do."""
    whole = str(error)
    if "trust_remote_code" in whole or "custom code" in whole:
        return f"{source} needs code of its own, which is never run; use a built-in architecture"
    if Path(source).is_dir():
        remedy = "give the one that was saved with the weights" if file else "save it again"
        return f"{Path(source) / file} cannot be loaded: {in_one_line(error)}; {remedy}"
    if "safetensors" in whole:
        return f"{source} has no safetensors weights at this revision; choose one that has"
    return (
        f"{source} is not a folder, not in the local hub cache, and could not be fetched; check "
        f"the name, the revision and the network, or download it elsewhere and give its folder "
        f"({in_one_line(error)})"
    )


def save(loaded: Loaded, folder: Path) -> None:
    """Write model and tokenizer as a Hugging Face folder, whole or not at all.

    Of a model with a soft prompt only the prompt is written; its base goes into the folder `base`
    beside, unless there is one. Raises ModelError for a model with a LoRA adapter in it.
    """
    if has_lora(loaded.model):
        raise ModelError(
            f"{folder} would hold neither the base nor its LoRA adapter whole; merge the adapter "
            "into its model first"
        )
    if isinstance(loaded.model, SoftPrompted) and not (folder.parent / BASE).is_dir():
        save(Loaded(loaded.model.base_model, loaded.tokenizer), folder.parent / BASE)
    with replacing_folder(folder) as temporary, quiet():
        loaded.model.save_pretrained(temporary, safe_serialization=True)
        loaded.tokenizer.save_pretrained(temporary)


class quiet:
    """Silence Transformers' own progress bars and notes for a while; our own say what matters."""

    def __enter__(self) -> None:
        self._level = transformers_logging.get_verbosity()
        self._bars = transformers_logging.is_progress_bar_enabled()
        transformers_logging.set_verbosity(logging.ERROR)
        transformers_logging.disable_progress_bar()

    def __exit__(self, *_: object) -> None:
        transformers_logging.set_verbosity(self._level)
        if self._bars:
            transformers_logging.enable_progress_bar()
