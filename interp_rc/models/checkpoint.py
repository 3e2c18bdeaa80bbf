"""What a checkpoint's files say before its weights are read, and what a library makes of them.

A configuration is text that anyone may have edited: nothing is built from it before its numbers
are compared with the weights, and whatever a library raises about it ends in one line that names
the file.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch.nn.modules.module import register_module_module_registration_hook
from transformers import PreTrainedConfig

from interp_rc.records.errors import InterpError, ModelError

CONFIG, GENERATION = "config.json", "generation_config.json"
SIZES = re.compile(
    r"(num_|n_)\w*|\w*_(size|dim|rank|layers|heads|width|length|embeddings|positions|inner|state)"
    r"|d_\w+|dim|width|depth|heads|layers|rank|r"
)
NOT_OF_WEIGHTS = re.compile(r"\w*(max_\w*|window\w*|length|chunk\w*|block\w*|n_ctx)")
CONTEXTS = ("max_position_embeddings", "n_positions", "max_seq_len", "max_sequence_length")
ENDS = ("bos_token_id", "eos_token_id", "pad_token_id")
REAL = ("F", "BF")  # F32, F8_E4M3, BF16 …
ROOM = 10_000_000  # elements more than the weights hold: buffers, and small models
PACKED = 9  # elements of a layer in one of a quantised checkpoint, and its scales
MODULES = 20  # times as many modules as there are tensors are too many, beyond ROOM_MODULES
ROOM_MODULES = 2_000
LINE = 400  # characters of what a library says


@contextmanager
def explaining(message: Callable[[BaseException], str]) -> Iterator[None]:
    """Turn whatever a library raises inside into a ModelError with the message that is made of it.

    Errors of our own pass. The panics of a library in Rust are no ordinary exceptions.
    """
    try:
        yield
    except (InterpError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        raise ModelError(message(error)) from error


def in_one_line(error: BaseException) -> str:
    """What an exception says, without its line breaks, and no longer than a message may be."""
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, KeyError):
        text = f"KeyError: {text}"
    return text if len(text) <= LINE else text[:LINE] + " …"


def read_object(path: Path) -> dict[str, Any]:
    """A JSON file of a checkpoint, which has to hold an object.

    Other libraries write infinities and numbers of thirty digits into it. Raises ModelError for
    anything else.
    """
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(
            f"{path} cannot be loaded: {in_one_line(error)}; save the model again"
        ) from error
    if not isinstance(content, dict):
        raise ModelError(
            f"{path} cannot be loaded: it holds a {type(content).__name__}, not an object of keys; "
            "save the model again"
        )
    return content


class Weights:
    """Names, shapes and kinds of the tensors of a folder's safetensors files, from their headers.

    Raises ModelError for files that cannot be read.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self.shapes: dict[str, list[int]] = {}
        self.kinds: dict[str, str] = {}
        for file in files:
            with (
                explaining(partial(_unreadable, file)),
                safe_open(file, framework="pt") as tensors,
            ):
                for name in tensors.keys():  # noqa: SIM118 (not a dict)
                    part = tensors.get_slice(name)
                    self.shapes[name], self.kinds[name] = part.get_shape(), part.get_dtype()

    def check_kinds(self, file: Path) -> None:
        """Raise ModelError for matrices of whole numbers, which no layer has."""
        for name, kind in self.kinds.items():
            if name.endswith(".weight") and not kind.startswith(REAL):
                raise ModelError(
                    f"{file.parent}: {name} holds whole numbers ({kind}), and {file.name} names no "
                    "quantisation of weights; copy or save it again"
                )

    @property
    def elements(self) -> int:
        return sum(prod(shape) for shape in self.shapes.values())


def _unreadable(file: Path, error: BaseException) -> str:
    return f"{file} cannot be loaded: {in_one_line(error)}; copy or save it again"


def check_numbers(file: Path, config: Mapping[str, Any], weights: Weights) -> None:
    """Raise ModelError for a size that no model has which these weights fill.

    Lists as long as a number says are made while a configuration is read.
    """
    for key, value in _numbers(config):
        if key in CONTEXTS and value < 1:
            raise ModelError(
                f'{file}: "{key}" is {value}, and no text is that short; give the {file.name} that '
                "was saved with the weights"
            )
        if not -(2**63) <= value < 2**63 or (
            SIZES.fullmatch(key)
            and not NOT_OF_WEIGHTS.fullmatch(key)
            and abs(value) > weights.elements + ROOM
        ):
            raise ModelError(
                f'{file}: "{key}" is {str(value)[:30]}, and the weights beside it hold '
                f"{weights.elements} numbers in all; give the {file.name} that was saved with them"
            )


def check_ends(file: Path, settings: Mapping[str, Any]) -> None:
    """Raise ModelError for ends of text in generation settings that are no tokens."""
    for key in ENDS:
        value = settings.get(key)
        listed = value if isinstance(value, list) else [] if value is None else [value]
        if not all(type(id) is int and id in range(2**31) for id in listed):
            raise ModelError(
                f'{file}: "{key}" is {str(value)[:30]}; write the id of a token, several in a '
                "list, or null"
            )


def _numbers(value: Any, key: str = "") -> Iterator[tuple[str, int | float]]:
    """Every whole number, with the key that it is under."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _numbers(part, name)
    elif isinstance(value, list):
        for part in value:
            yield from _numbers(part, key)
    elif isinstance(value, int):
        yield key, value


def check_size(file: Path, kind: Any, config: PreTrainedConfig, weights: Weights) -> None:
    """Raise ModelError unless the model that is described, of a class that `kind` finds, is about
    as large as its weights.

    It is built without memory; what the weights lack would be made up in memory before anyone
    says so.
    """
    modules = 0

    def count(*_: object) -> None:
        nonlocal modules
        modules += 1
        if modules > ROOM_MODULES + MODULES * len(weights.shapes):
            raise ModelError(
                f"{file}: the model that it describes has more than {modules - 1} modules, and the "
                f"weights beside it {len(weights.shapes)} tensors; give the {file.name} that was "
                "saved with them"
            )

    counting = register_module_module_registration_hook(count)
    try:
        with torch.device("meta"), torch.random.fork_rng(devices=[]):
            model = kind.from_config(config)
    except ModelError:
        raise
    except Exception:  # whoever loads it will say why it cannot be built
        return
    finally:
        counting.remove()
    described = sum(t.numel() for t in (*model.parameters(), *model.buffers()))
    packed = PACKED if getattr(config, "quantization_config", None) else 2
    if described > packed * weights.elements + ROOM:
        raise ModelError(
            f"{file} describes a model of {described:.3g} numbers, and the weights beside it hold "
            f"{weights.elements}; give the {file.name} that was saved with them"
        )
