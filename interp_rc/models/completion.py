"""Greedy completions of prompts."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from interp_rc.models.batching import at_most, batch_equals
from interp_rc.models.causality import prove_causal
from interp_rc.models.decoding import end_tokens, write
from interp_rc.models.evaluating import evaluating
from interp_rc.models.machine import spread
from interp_rc.models.module_state import refuse_left_over
from interp_rc.models.scoring import Tick
from interp_rc.models.soft_prompt import context_of
from interp_rc.models.tokenizer import encode_prompts

IsOpen = Callable[[int, str], bool]
"""From a prompt's number and the text after it so far, whether it must go on to be judged."""

LONGER, BEFORE = 8, 64
"""An open text has at most so many times its `max_new_tokens`, and so many tokens more: in capitals
or letter by letter a text has more tokens, and it may begin with empty lines."""


def complete(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    *,
    max_new_tokens: Sequence[int],
    is_open: IsOpen | None = None,
    batch_size: int = 256,
    tick: Tick = lambda done: None,
) -> list[str]:
    """Write the text that follows each prompt at temperature zero.

    Args:
        model: A causal language model; it is asked in evaluation mode.
        tokenizer: Its tokenizer.
        prompts: Only those of equal length share a batch: padding never enters.
        max_new_tokens: The tokens of each text.
        is_open: A text that it calls open after its `max_new_tokens` goes on token by token until
            it does not, within `LONGER` times as many and `BEFORE`.
        batch_size: Texts that are written at once.
        tick: Told how many texts are done.

    Returns:
        The texts. Each ends early before a token that ends a text or a turn, or with the model's
        context.

    Raises:
        ScoringError: For a model that is not causal, or a prompt without a token.
    """
    prove_causal(model)
    refuse_left_over(model)
    context, ends = context_of(model), end_tokens(model, tokenizer)
    ids = encode_prompts(tokenizer, prompts)
    most = [n if is_open is None else LONGER * n + BEFORE for n in max_new_tokens]
    order = sorted(range(len(ids)), key=max_new_tokens.__getitem__)
    equals = batch_equals([len(ids[item]) for item in order], at_most(batch_size))
    batches = [[order[place] for place in batch] for batch in equals]

    def continued(batch: list[int]) -> list[str]:
        inputs = torch.tensor([ids[i] for i in batch], device=model.device)
        steps = max(most[i] for i in batch)
        if context is not None:
            steps = min(steps, context - inputs.shape[1] + 1)
        texts = [""] * len(batch)

        def done(row: int, new: list[int]) -> bool:
            item, ended = batch[row], new[-1] in ends
            if not ended and len(new) < min(max_new_tokens[item], steps):
                return False
            texts[row] = tokenizer.decode(
                new[:-1] if ended else new,
                skip_special_tokens=True,
                clean_up_tokenization_spaces=False,
            )
            if ended or is_open is None or len(new) >= most[item]:
                return True
            return not is_open(item, texts[row])

        write(model, inputs, copies=1, steps=steps, choose=_likeliest, done=done)
        return texts

    texts = [""] * len(prompts)
    with evaluating(model):
        for batch, written in zip(batches, spread(model, continued, batches), strict=True):
            for item, text in zip(batch, written, strict=True):
                texts[item] = text
            tick(len(batch))
    return texts


def _likeliest(logits: Tensor, rows: list[int], step: int) -> Tensor:
    return logits.argmax(-1)
