"""Contrasts as token ids: prompt and target read together, and where the target begins."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from transformers import PreTrainedModel

from interp_rc.engine.sites import prompt_tokens, same_length
from interp_rc.facts.contrast_faults import check_contrasts
from interp_rc.models.batching import pad
from interp_rc.models.causality import prove_causal
from interp_rc.models.evaluating import evaluating
from interp_rc.models.load import Loaded
from interp_rc.models.masked import is_masked
from interp_rc.models.module_state import reads_alike_up_to
from interp_rc.models.scoring import log_probs_of
from interp_rc.models.soft_prompt import context_of
from interp_rc.models.tokenizer import Offsets, encode, encode_whole
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import Contrast


@dataclass(frozen=True, slots=True)
class Input:
    """Token ids of prompt and target; `offsets` are each token's characters in the two together.

    The target begins at token `start`; `targets` are its ids, and `foils` those of the foil, if
    it has as many. They are predicted at the positions `reads`: by the tokens before them, or, in
    a masked model, by the masks that stand in their place.
    """

    ids: list[int]
    start: int
    offsets: Offsets
    reads: list[int]
    targets: list[int]
    foils: list[int] | None = None


def read_inputs(
    loaded: Loaded,
    prompts: Sequence[str],
    targets: Sequence[str],
    foils: Sequence[str | None] | None = None,
) -> list[Input]:
    """Each prompt with its target. A token belongs to the target if it ends inside it.

    Raises DataError for an empty target, nothing before it, more tokens than the model reads, or
    than it reads alike whatever stands beside them (LongRoPE);
    in a masked model for a prompt without a mask, or with another number of masks than one or
    the target's tokens. Raises ScoringError for a model that neither goes on nor fills in masks.
    """
    if is_masked(loaded.model):
        read = _masked
    else:
        prove_causal(loaded.model)
        read = _continued
    inputs = read(loaded, prompts, targets)
    if foils is not None:
        given = [own if foil is None else foil for foil, own in zip(foils, targets, strict=True)]
        others = read(loaded, prompts, given)
        inputs = [
            replace(one, foils=other.targets) if len(other.targets) == len(one.targets) else one
            for one, other in zip(inputs, others, strict=True)
        ]
    check_lengths(loaded, prompts, [len(one.ids) for one in inputs])
    return inputs


def check_lengths(loaded: Loaded, texts: Sequence[str], lengths: Sequence[int]) -> None:
    """Raise DataError for a text of more tokens than the model reads, or than it reads alike
    whatever stands beside it."""
    context, alike = context_of(loaded.model), reads_alike_up_to(loaded.model)
    for text, tokens in zip(texts, lengths, strict=True):
        if context is not None and tokens > context:
            raise DataError(f"{text[:60]!r}… has {tokens} tokens; the model reads {context}")
        if alike is not None and tokens > alike:
            raise DataError(
                f"{text[:60]!r}… has {tokens} tokens, and texts of more than {alike} make this "
                "model (LongRoPE) read every text beside them in another way; shorten it"
            )


def inputs_of(
    loaded: Loaded,
    contrasts: Sequence[Contrast],
    which: Literal["clean", "corrupted"],
    *,
    targets: Sequence[str] | None = None,
    foils: Sequence[str | None] | None = None,
) -> list[Input]:
    """One of each contrast's prompts, with its target or another one.

    Raises what `read_inputs` does and DataError for contrasts that cannot measure what is asked
    (see `check_contrasts`), naming the contrast and the line that it was read from.
    """
    check_contrasts(contrasts, foils=foils is not None)
    prompts = [getattr(contrast, which) for contrast in contrasts]
    targets = [contrast.target for contrast in contrasts] if targets is None else targets
    try:
        return read_inputs(loaded, prompts, targets, foils)
    except DataError:
        for n, contrast in enumerate(contrasts):
            mine = slice(n, n + 1)
            try:
                read_inputs(loaded, prompts[mine], targets[mine], foils and foils[mine])
            except DataError as error:
                raise DataError(f"{contrast.named}: {error}") from None
        raise


def _continued(loaded: Loaded, prompts: Sequence[str], targets: Sequence[str]) -> list[Input]:
    texts = [prompt + target for prompt, target in zip(prompts, targets, strict=True)]
    inputs = []
    for prompt, (ids, offsets) in zip(prompts, encode(loaded.tokenizer, texts), strict=True):
        start = prompt_tokens(offsets, prompt)
        if not 0 < start < len(ids):
            raise DataError(f"prompt {prompt!r} and its target must both have a token; extend them")
        inputs.append(Input(ids, start, offsets, list(range(start - 1, len(ids) - 1)), ids[start:]))
    return inputs


def _masked(loaded: Loaded, prompts: Sequence[str], targets: Sequence[str]) -> list[Input]:
    """One mask stands for all tokens of the target, or each mask for one."""
    mask = loaded.tokenizer.mask_token_id
    read = encode_whole(loaded.tokenizer, prompts)
    wanted = loaded.tokenizer(list(targets), add_special_tokens=False).input_ids
    inputs = []
    for prompt, (ids, offsets, _), target in zip(prompts, read, wanted, strict=True):
        masks = ids.count(mask)
        if not target or masks not in (1, len(target)):
            raise DataError(
                f"prompt {prompt!r} has {masks} times {loaded.tokenizer.mask_token}, and its "
                f"target {len(target)} tokens; write one mask for all, or one for each"
            )
        if masks == 1:
            at = ids.index(mask)
            ids = [*ids[:at], *[mask] * len(target), *ids[at + 1 :]]
            offsets = [*offsets[:at], *[offsets[at]] * len(target), *offsets[at + 1 :]]
        reads = [position for position, one in enumerate(ids) if one == mask]
        inputs.append(Input(ids, len(ids), offsets, reads, target))
    return inputs


def positions(loaded: Loaded, contrasts: Sequence[Contrast]) -> int:
    """Tokens of the longest prompt: as many positions as there are to name.

    Raises DataError for a contrast whose prompts have not equally many: token by token they then
    do not belong together.
    """
    clean, corrupted = (inputs_of(loaded, contrasts, which) for which in ("clean", "corrupted"))
    return max(
        same_length(contrast, one.start, other.start)
        for contrast, one, other in zip(contrasts, clean, corrupted, strict=True)
    )


def logits_of(
    model: PreTrainedModel, inputs: Sequence[Input]
) -> Float[Tensor, "batch pos vocabulary"]:
    """Run the model over all inputs at once, in evaluation mode."""
    ids, mask = pad([one.ids for one in inputs], model.device)
    with evaluating(model):
        logits: Tensor = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
    return logits


def target_log_probs(
    logits: Float[Tensor, "batch pos vocabulary"], inputs: Sequence[Input]
) -> Float[Tensor, " batch"]:
    """Sum the log-probability [nat] of each target over its tokens, in float64."""
    targets = [torch.tensor(one.targets, device=logits.device) for one in inputs]
    rows = zip(logits, inputs, targets, strict=True)
    return torch.stack([log_probs_of(row[one.reads], ids).sum() for row, one, ids in rows]).cpu()


def says_targets(
    logits: Float[Tensor, "batch pos vocabulary"], inputs: Sequence[Input]
) -> Bool[Tensor, " batch"]:
    """Tell of each target whether greedy decoding from its prompt begins with its tokens."""
    rows = zip(logits, inputs, strict=True)
    return torch.tensor([row[one.reads].argmax(-1).tolist() == one.targets for row, one in rows])
