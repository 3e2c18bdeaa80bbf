"""Whether a checkpoint was loaded whole: all weights that a model has, and all that it holds."""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from transformers import PreTrainedModel

from interp_rc.records.errors import ModelError

HARMLESS = re.compile(
    r"(^|\.)rotary_emb\.(original_)?inv_freq$"  # computed from the configuration since
    r"|(^|\.)position_ids$"
    r"|(^|\.)(attn|attention)\.(masked_)?bias$"  # the causal mask of GPT-2, NeoX and J
    r"|\._extra_state$"  # how a library scaled its 8-bit products
    r"|(^|\.)num_batches_tracked$"
    # Heads beside the language model's: they read its last states, and change nothing in it.
    r"|^(\w+\.)?pooler\.(dense\.)?(weight|bias)$"
    r"|^cls\.seq_relationship\.(weight|bias)$"
    r"|^sop_classifier\."
    r"|^v_head\."
)
"""Keys of older or other checkpoints of a family, beside those that its class declares."""

NAMED = 4  # keys that a message names


def refuse_partly_loaded(source: object, model: PreTrainedModel, info: Mapping[str, Any]) -> None:
    """Raise ModelError unless weights and model are one another's.

    `info` is Transformers' own, which draws at random what it does not find, leaves aside what it
    has no place for, and goes on.
    """
    lacking = {*info["missing_keys"], *(key for key, *_ in info["mismatched_keys"])}
    if lacking:
        raise ModelError(
            f"{source} holds no weights that fit {min(lacking)} ({len(lacking)} in all); "
            "give a whole language model"
        )
    unused = [key for key in info["unexpected_keys"] if not HARMLESS.search(key)]
    if unused:
        raise ModelError(
            f"{source} holds weights that its configuration has no place for: {_named(unused)} "
            f"({len(unused)} in all); give the config.json that was saved with them"
        )
    _refuse_untied(source, model)


def unused_in_body(keys: Iterable[str], prefix: str) -> list[str]:
    """Keys that belong to a body of states, of those that it had no place for.

    A checkpoint with a head keeps the body under `prefix`; what is beside it is the head.
    """
    keys = [key for key in keys if not HARMLESS.search(key)]
    inside = [key for key in keys if key.startswith(f"{prefix}.")]
    return inside or [key for key in keys if not key.startswith(HEADS)]


HEADS = ("cls.", "lm_head.", "vocab_", "generator_", "predictions.", "classifier.", "score.")


def _refuse_untied(source: object, model: PreTrainedModel) -> None:
    """Transformers ties output rows that are stored twice only if they are equal; older versions
    always did, so that the same folder is two models."""
    ties = getattr(model.config.get_text_config(decoder=True), "tie_word_embeddings", False)
    inputs, outputs = model.get_input_embeddings(), model.get_output_embeddings()
    if not ties or inputs is None or outputs is None or not _tied_keys(model):
        return
    if outputs.weight is not inputs.weight:
        raise ModelError(
            f'{source} says "tie_word_embeddings": true and yet holds output rows that are not the '
            "input embedding; write false into its config.json if they are its own, or take them "
            "out of the weights"
        )


def _tied_keys(model: PreTrainedModel) -> Collection[str]:
    """Of the class: an instance forgets those that it did not tie."""
    return getattr(type(model), "_tied_weights_keys", None) or ()


def _named(keys: Iterable[str]) -> str:
    keys = sorted(keys)
    return ", ".join(keys[:NAMED]) + (", …" if len(keys) > NAMED else "")
