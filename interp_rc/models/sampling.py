"""Completions drawn from a model's own distribution."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from inspect import signature

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from interp_rc.models.causality import prove_causal
from interp_rc.models.machine import spread
from interp_rc.models.scoring import Tick
from interp_rc.models.soft_prompt import context_of
from interp_rc.models.tokenizer import encode
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

    Each is written until an end of text, the context's end, or until `stop` stands in it after
    other text. Every prompt and sample has random numbers of its own, so that neither order nor
    `batch_size` (texts written at once) matter. Raises ScoringError for a model that
    is not causal.
    """
    prove_causal(model)
    context = context_of(model)
    ids = [ids for ids, _ in encode(tokenizer, prompts)]
    by_length: dict[int, list[int]] = defaultdict(list)  # padding never enters
    for item, prompt in enumerate(ids):
        by_length[len(prompt)].append(item)
    at_once = max(1, batch_size // samples)
    batches = [
        items[first : first + at_once]
        for items in by_length.values()
        for first in range(0, len(items), at_once)
    ]
    ends = _ends(model, tokenizer)

    def written(batch: list[int]) -> list[str]:
        inputs = torch.tensor([ids[i] for i in batch], device=model.device)
        longest = max_new_tokens
        if context is not None:
            longest = min(longest, context - inputs.shape[1] + 1)
        drawn = [
            np.random.default_rng(derive_seed(seed, "sample", prompts[i], number))
            for i in batch
            for number in range(samples)
        ]
        uniform = np.stack([one.random(max_new_tokens) for one in drawn])
        texts = [""] * len(uniform)

        def done(row: int, new: list[int]) -> bool:
            over = new[-1] in ends
            texts[row] = tokenizer.decode(
                new[:-1] if over else new,
                skip_special_tokens=True,
                clean_up_tokenization_spaces=False,
            )
            return over or stop in texts[row].lstrip()

        _write(model, inputs, samples, torch.tensor(uniform[:, : max(longest, 0)]), done)
        return texts

    found: list[list[str]] = [[] for _ in prompts]
    for batch, texts in zip(batches, spread(model, written, batches), strict=True):
        for place, item in enumerate(batch):
            found[item] = texts[place * samples : (place + 1) * samples]
        tick(len(batch))
    return found


def _ends(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """Tokens that end a text, as the model's and the tokenizer's settings have it."""
    own = getattr(model.generation_config, "eos_token_id", None)
    listed = own if isinstance(own, list) else [own]
    return {end for end in [*listed, tokenizer.eos_token_id] if end is not None}


@torch.no_grad()  # per thread, so it stands here and not at `sample_completions`
def _write(
    model: PreTrainedModel,
    prompts: Int[Tensor, "prompt token"],
    samples: int,
    uniform: Float[Tensor, "text step"],
    done: Callable[[int, list[int]], bool],
) -> None:
    """Continue each prompt `samples` times until `done(text, its new tokens)`; the prompt is read
    once where the model's state is plain keys and values."""
    if not uniform.shape[1]:
        return
    last = {"logits_to_keep": 1} if "logits_to_keep" in signature(model.forward).parameters else {}
    state = model(input_ids=prompts, use_cache=True, **last)
    cache = state.get("past_key_values")
    whole = prompts.repeat_interleave(samples, dim=0)
    logits = state.logits[:, -1].repeat_interleave(samples, dim=0)
    if type(cache) is DynamicCache:
        cache.batch_repeat_interleave(samples)
    else:
        cache = None
    new: list[list[int]] = [[] for _ in range(len(whole))]
    open_rows = set(range(len(whole)))
    for step in range(uniform.shape[1]):
        chosen = draw(logits, uniform[:, step].to(logits.device))
        tokens = chosen.tolist()
        for row in sorted(open_rows):
            new[row].append(tokens[row])
            if done(row, new[row]):
                open_rows.remove(row)
        if not open_rows or step + 1 == uniform.shape[1]:
            return
        whole = torch.cat([whole, chosen[:, None]], dim=1)
        if cache is None:
            logits = model(input_ids=whole, use_cache=False, **last).logits[:, -1]
        else:
            state = model(input_ids=chosen[:, None], past_key_values=cache, use_cache=True)
            logits, cache = state.logits[:, -1], state.past_key_values


def draw(
    logits: Float[Tensor, "text vocabulary"], uniform: Float[Tensor, " text"]
) -> Int[Tensor, " text"]:
    """The token at which the cumulative probability passes `uniform`, a number in [0, 1)."""
    cumulative = logits.double().softmax(-1).cumsum(-1)
    place = torch.searchsorted(
        cumulative, uniform.double()[:, None] * cumulative[:, -1:], right=True
    )
    return place[:, 0].clamp(max=logits.shape[-1] - 1)
