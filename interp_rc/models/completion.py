"""Greedy completions of prompts."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from interp_rc.models.causality import prove_causal
from interp_rc.models.machine import spread
from interp_rc.models.scoring import Tick
from interp_rc.models.soft_prompt import context_of
from interp_rc.models.tokenizer import encode


def complete(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    *,
    max_new_tokens: Sequence[int],
    batch_size: int = 256,
    tick: Tick = lambda done: None,
) -> list[str]:
    """The text that follows each prompt at temperature zero.

    Only prompts of equal length share a batch: padding never enters. A batch goes on for the
    largest of its `max_new_tokens`, and each text is cut to its own. A text also ends where the
    model's context does. Raises ScoringError for a model that
    is not causal.
    """
    prove_causal(model)
    context = context_of(model)
    texts = [""] * len(prompts)
    ids = [ids for ids, _ in encode(tokenizer, prompts)]
    by_length: dict[int, list[int]] = defaultdict(list)
    for item in sorted(range(len(ids)), key=lambda i: max_new_tokens[i]):
        by_length[len(ids[item])].append(item)
    batches = [
        items[first : first + batch_size]
        for items in by_length.values()
        for first in range(0, len(items), batch_size)
    ]

    @torch.no_grad()
    def continued(batch: list[int]) -> list[list[int]]:
        inputs = torch.tensor([ids[i] for i in batch], device=model.device)
        longest = max(max_new_tokens[i] for i in batch)
        if context is not None:
            longest = min(longest, context - inputs.shape[1] + 1)
        out = model.generate(
            input_ids=inputs,
            attention_mask=torch.ones_like(inputs),
            max_new_tokens=longest,
            pad_token_id=tokenizer.pad_token_id or tokenizer.eos_token_id,
        )
        return out[:, inputs.shape[1] :].tolist()

    with _plainly_greedy(model):
        for batch, rows in zip(batches, spread(model, continued, batches), strict=True):
            for item, row in zip(batch, rows, strict=True):
                texts[item] = tokenizer.decode(
                    row[: max_new_tokens[item]],
                    skip_special_tokens=True,
                    clean_up_tokenization_spaces=False,
                )
            tick(len(batch))
    return texts


@contextmanager
def _plainly_greedy(model: PreTrainedModel) -> Iterator[None]:
    """Without the settings that a model brings along: a repetition penalty is not greedy."""
    own = model.generation_config
    model.generation_config = GenerationConfig(do_sample=False, eos_token_id=own.eos_token_id)
    try:
        yield
    finally:
        model.generation_config = own
