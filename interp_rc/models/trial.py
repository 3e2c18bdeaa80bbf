"""A model's first text: whether what was loaded computes, and gives numbers."""

from functools import partial

import torch
from transformers import PreTrainedModel

from interp_rc.models.causality import plain_tokens
from interp_rc.models.checkpoint import CONFIG, explaining, in_one_line
from interp_rc.models.machine import device_of
from interp_rc.models.soft_prompt import context_of
from interp_rc.records.errors import ModelError

TOKENS = 16


@torch.no_grad()
def check_computes(source: object, model: PreTrainedModel, config: str = CONFIG) -> None:
    """Raise ModelError, which names the file `config`, unless the model reads a few tokens and
    gives logits that are numbers."""
    ids = plain_tokens(model)[: min(TOKENS, context_of(model) or TOKENS)]
    with explaining(partial(_idle, source, config)):
        logits = model(input_ids=ids[None].to(device_of(model))).logits
    if logits.isnan().any():
        raise ModelError(
            f"{source} gives NaN for logits, and its weights are numbers: a value in its {config} "
            "is not the one that it was trained with; give the one that was saved with it"
        )


def _idle(source: object, config: str, error: BaseException) -> str:
    return (
        f"{source} cannot be loaded: what its {config} describes does not compute "
        f"({type(error).__name__}: {in_one_line(error)}); give the one that was saved with it"
    )
