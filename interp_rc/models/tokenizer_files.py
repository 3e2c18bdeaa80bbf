"""Read a checkpoint's tokenizer, and see that its tokens are ones that the model has rows for."""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers import (
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from transformers.utils import cached_file

from interp_rc.models.checkpoint import explaining, in_one_line, read_object
from interp_rc.models.tokenizer import encode
from interp_rc.records.errors import ModelError

WHOLE, SETTINGS = "tokenizer.json", "tokenizer_config.json"
OBJECTS = (WHOLE, SETTINGS, "special_tokens_map.json", "added_tokens.json", "vocab.json")
GENERIC = ("TokenizersBackend", "PreTrainedTokenizerFast")  # classes that add nothing of their own
MISSING = ("missing_entries", "connection_errors", "gated_repo")
TEXT = "The author of it is 7 – said nobody."


def read_tokenizer(source: str, **options: Any) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder or hub id, which was shown to read a text.

    Raises ModelError for files that cannot be used, and tokenizers without offsets.
    """
    folder = Path(source)
    if folder.is_dir():
        for name in OBJECTS:
            if (folder / name).is_file():
                read_object(folder / name)
    with explaining(partial(_unusable, source)):
        kind = PreTrainedTokenizerFast if _is_generic(source, options) else AutoTokenizer
        tokenizer: PreTrainedTokenizerBase = kind.from_pretrained(source, **options)
    if not tokenizer.is_fast:
        raise ModelError(f"{source} has no fast tokenizer, which offsets need; convert it first")
    with explaining(partial(_unusable, source)):
        ((ids, offsets),) = encode(tokenizer, [TEXT])
        tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        if any(not 0 <= start <= end <= len(TEXT) for start, end in offsets):
            raise ValueError("its offsets are not places in the text")
        if not any(start < end for start, end in offsets):
            raise ValueError("it makes no token of a text")
    return tokenizer


def _is_generic(source: str, options: Mapping[str, Any]) -> bool:
    """Whether tokenizer.json says all of it.

    By the model's family alone, AutoTokenizer would put another class in its place, which splits
    texts in its own way (Qwen2's digit by digit).
    """
    where = {k: v for k, v in options.items() if k in ("revision", "local_files_only")}
    missing = {f"_raise_exceptions_for_{what}": False for what in MISSING}
    whole, settings = (cached_file(source, name, **where, **missing) for name in (WHOLE, SETTINGS))
    if whole is None or settings is None:
        return False
    return read_object(Path(settings)).get("tokenizer_class") in GENERIC


def _unusable(source: str, error: BaseException) -> str:
    why, folder = in_one_line(error), Path(source)
    if not folder.is_dir():
        return f"the tokenizer of {source} cannot be loaded: {why}; give a folder that has one"
    if not (folder / WHOLE).is_file():
        return (
            f"{source} cannot be loaded: no {WHOLE}, and no tokenizer can be made of what is there "
            f"({why}); save the tokenizer beside the model"
        )
    try:
        Tokenizer.from_file(str(folder / WHOLE)).encode(TEXT)
        name = SETTINGS
    except BaseException as fault:  # a panic is no ordinary exception
        name, why = WHOLE, in_one_line(fault)
    return f"{folder / name} cannot be loaded: {why}; save the tokenizer again"


def check_tokens(
    source: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> PreTrainedTokenizerBase:
    """The tokenizer, without special tokens that the model has no embedding for.

    Those are for padding, or added by a class that does not know the model, and would be read as
    part of a text where their names stand in it.

    Raises ModelError for words without an embedding: the model was not trained on their pieces.
    """
    rows = getattr(model.get_input_embeddings(), "num_embeddings", None)
    if rows is None:
        return tokenizer
    beyond = {word: id for word, id in tokenizer.get_vocab().items() if id >= rows}
    special = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    words = sorted(beyond.keys() - special)
    if words:
        raise ModelError(
            f"{source}: the tokenizer gives {words[0]!r} the id {beyond[words[0]]} ({len(words)} "
            f"such in all), and the model has an embedding for {rows} tokens; give the tokenizer "
            "that the model was trained with, or resize the embedding and train it"
        )
    if beyond:
        tokenizer = _without(tokenizer, set(beyond))
    ((ids, _),) = encode(tokenizer, [TEXT])
    if max(ids) >= rows:
        raise ModelError(
            f"{source}: the tokenizer reads a text as token {max(ids)}, and the model has an "
            f"embedding for {rows}; give the tokenizer that the model was trained with"
        )
    return tokenizer


def _without(tokenizer: PreTrainedTokenizerBase, words: set[str]) -> PreTrainedTokenizerBase:
    """A copy that reads these special tokens as any text."""
    whole = json.loads(tokenizer.backend_tokenizer.to_str())
    whole["added_tokens"] = [one for one in whole["added_tokens"] if one["content"] not in words]
    kept = {
        name: token
        for name, token in tokenizer.special_tokens_map.items()
        if isinstance(token, str) and token not in words
    }
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(whole)),
        clean_up_tokenization_spaces=False,
        name_or_path=tokenizer.name_or_path,
        **({"pad_token": kept["eos_token"]} if "eos_token" in kept else {}) | kept,
    )
