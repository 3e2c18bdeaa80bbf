"""Token by token: what follows prompts of one length, however each next token is chosen."""

from collections.abc import Callable, Iterator
from inspect import signature
from typing import Any

import torch
from jaxtyping import Float, Int
from jinja2 import TemplateError
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from interp_rc.models.module_state import can_continue, plain_cache, reads_alike_up_to

Choose = Callable[[Float[Tensor, "text vocabulary"], list[int], int], Int[Tensor, " text"]]
"""From the logits of some texts, their numbers and the step, the next token of each."""

Done = Callable[[int, list[int]], bool]
"""From a text's number and its new tokens, whether it is at its end."""

TURNS = (
    "<|im_end|>", "<|im_start|>", "<|endoftext|>", "<|end_of_text|>", "<|eot_id|>", "<|eom_id|>",
    "<|start_header_id|>", "<end_of_turn>", "<start_of_turn>", "<|end|>", "<|end_of_turn|>",
    "<|END_OF_TURN_TOKEN|>", "<|START_OF_TURN_TOKEN|>", "<|eot|>", "<|return|>", "<turn|>",
)  # fmt: skip
"""Special tokens that end a turn or begin the next one, in the chat formats of published models."""


def end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """Find every token that ends a text: what comes after it is another text.

    Returns:
        The ids that the tokenizer, the model's configuration or its settings of generation call an
        end of sequence, those that end a turn of a chat, and the tokenizer's own beginning of
        sequence and padding.
    """
    config = model.config
    generation = getattr(model, "generation_config", None)  # of models that can generate
    ends: set[int | None] = set()
    for one in (tokenizer, config, config.get_text_config(decoder=True), generation):
        listed = getattr(one, "eos_token_id", None)
        ends |= set(listed if isinstance(listed, list | tuple) else [listed])
    ends |= {tokenizer.bos_token_id, tokenizer.pad_token_id}
    return {end for end in ends if end is not None} | set(_turn_ends(tokenizer))


def _turn_ends(tokenizer: PreTrainedTokenizerBase) -> Iterator[int]:
    """Known by name, or by what the chat template writes right after a reply."""
    special = {id: token.content for id, token in tokenizer.added_tokens_decoder.items()
               if token.special}  # fmt: skip
    yield from (id for id, content in special.items() if content in TURNS)
    if not tokenizer.chat_template:
        return
    reply = "A reply."
    turns = [{"role": "user", "content": "A question?"}, {"role": "assistant", "content": reply}]
    try:
        chat = str(tokenizer.apply_chat_template(turns, tokenize=False))
    except (TemplateError, ImportError, ValueError, TypeError):
        return  # a template for other chats than a question and its reply
    after = tokenizer(chat.rpartition(reply)[2].lstrip(), add_special_tokens=False).input_ids
    yield from (id for id in after[:1] if id in special)


@torch.no_grad()  # per thread, so it stands here and not where texts are spread over threads
def write(
    model: PreTrainedModel,
    prompts: Int[Tensor, "prompt token"],
    *,
    copies: int,
    steps: int,
    choose: Choose,
    done: Done,
) -> None:
    """Append tokens to `copies` texts of every prompt until they are done, `steps` at the most.

    Texts are numbered prompt by prompt. Keys and values are reused where they are all that the
    model remembers a text by, and else every text is read again from its beginning.
    """
    if steps < 1:
        return
    last = {"logits_to_keep": 1} if "logits_to_keep" in signature(model.forward).parameters else {}
    alike = reads_alike_up_to(model)
    short = alike is None or prompts.shape[1] + steps - 1 <= alike
    reuses = short and steps > 1 and can_continue(model)
    state = model(input_ids=prompts, use_cache=reuses, **last)
    cache = plain_cache(state) if reuses else None
    if cache is not None:
        cache.batch_repeat_interleave(copies)
    texts = prompts.repeat_interleave(copies, dim=0)
    logits = state.logits[:, -1].repeat_interleave(copies, dim=0)
    rows = list(range(len(texts)))  # the numbers of the texts that are still under way
    new: list[list[int]] = [[] for _ in rows]
    over = [False] * len(rows)
    for step in range(steps):
        chosen = choose(logits, rows, step)
        for row, token in zip(rows, chosen.tolist(), strict=True):
            if not over[row]:
                new[row].append(token)
                over[row] = done(row, new[row])
        going = [place for place, row in enumerate(rows) if not over[row]]
        if not going or step + 1 == steps:
            return
        texts = torch.cat([texts, chosen[:, None]], dim=1)
        if 2 * len(going) <= len(rows):
            index = torch.tensor(going, device=texts.device)
            texts, rows = texts[index], [rows[place] for place in going]
            if cache is not None:
                cache.batch_select_indices(index)
        logits = _next_logits(model, texts, cache, last)


def _next_logits(
    model: PreTrainedModel, texts: Int[Tensor, "text token"], cache: Any, last: dict[str, int]
) -> Float[Tensor, "text vocabulary"]:
    if cache is None:
        return model(input_ids=texts, use_cache=False, **last).logits[:, -1]
    return model(input_ids=texts[:, -1:], past_key_values=cache, use_cache=True).logits[:, -1]
