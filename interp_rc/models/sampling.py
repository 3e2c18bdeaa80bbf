"""Completions drawn from a model's own distribution."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
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
from interp_rc.records.seeds import derive_seed


def sample_completions(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    *,
    samples: int,
    max_new_tokens: int,
    seed: int,
    stop: str = "\n",
    batch_size: int = 32,
    tick: Tick = lambda done: None,
) -> list[list[str]]:
    """`samples` texts after each prompt at temperature 1, from all of the vocabulary.

    Each is written until an end of text or of a turn, the context's end, or until `stop` stands
    in it after other text. Every prompt and sample has random numbers of its own, so that neither
    order nor `batch_size` (texts written at once) matter. Raises ScoringError for a model that
    is not causal, or a prompt without a token.
    """
    prove_causal(model)
    refuse_left_over(model)
    context = context_of(model)
    ids = encode_prompts(tokenizer, prompts)
    # Padding never enters.
    batches = batch_equals([len(prompt) for prompt in ids], at_most(batch_size // samples))
    ends = end_tokens(model, tokenizer)

    def written(batch: list[int]) -> list[str]:
        inputs = torch.tensor([ids[i] for i in batch], device=model.device)
        longest = max_new_tokens
        if context is not None:
            longest = min(longest, context - inputs.shape[1] + 1)
        generators = [
            np.random.default_rng(derive_seed(seed, "sample", prompts[i], number))
            for i in batch
            for number in range(samples)
        ]
        drawn = torch.tensor(np.stack([one.random(max_new_tokens) for one in generators]))
        texts = [""] * len(drawn)

        def choose(logits: Tensor, rows: list[int], step: int) -> Tensor:
            return draw(logits, drawn[rows, step].to(logits.device))

        def done(row: int, new: list[int]) -> bool:
            over = new[-1] in ends
            texts[row] = tokenizer.decode(
                new[:-1] if over else new,
                skip_special_tokens=True,
                clean_up_tokenization_spaces=False,
            )
            return over or stop in texts[row].lstrip()

        write(model, inputs, copies=samples, steps=longest, choose=choose, done=done)
        return texts

    found: list[list[str]] = [[] for _ in prompts]
    with evaluating(model):
        for batch, texts in zip(batches, spread(model, written, batches), strict=True):
            for place, item in enumerate(batch):
                found[item] = texts[place * samples : (place + 1) * samples]
            tick(len(batch))
    return found


def draw(
    logits: Float[Tensor, "text vocabulary"], uniform: Float[Tensor, " text"]
) -> Int[Tensor, " text"]:
    """The token at which the cumulative probability passes `uniform`, a number in [0, 1)."""
    cumulative = logits.double().softmax(-1).cumsum(-1)
    place = torch.searchsorted(
        cumulative, uniform.double()[:, None] * cumulative[:, -1:], right=True
    )
    return place[:, 0].clamp(max=logits.shape[-1] - 1)
