"""Log-probabilities of targets given prompts: the one place where they are computed.

Every number is a natural-log sum over the target's tokens. A target is the text after the prompt,
its leading space included; prompt and target are tokenised together, and a token belongs to the
target if it ends inside it. Prompts are read once and their keys and values reused for all their
targets; only prompts of equal length share a batch, so that nothing is ever padded on the left and
no result depends on batch size or padding side.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from interp_rc.models.batching import batch_equals, pad
from interp_rc.models.causality import prove_causal
from interp_rc.models.evaluating import evaluating
from interp_rc.models.machine import spread
from interp_rc.models.module_state import (
    can_continue,
    plain_cache,
    reads_alike_up_to,
    refuse_left_over,
)
from interp_rc.models.soft_prompt import context_of
from interp_rc.models.tokenizer import encode
from interp_rc.records.errors import ScoringError

MOST_TARGETS = 256  # bounds the memory of a batch in which every prompt has many candidates
BUCKET = 5  # tokens

Tick = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Scores:
    """Per prompt and target: log-probability (nats), number of tokens, and whether greedy
    decoding from the prompt would begin with exactly the target's tokens."""

    log_prob: Float[Tensor, " item"]
    n_tokens: Int[Tensor, " item"]
    greedy: Bool[Tensor, " item"]


@dataclass(slots=True)
class _Group:
    """Targets of one prompt: the items they belong to and their token ids."""

    prompt: tuple[int, ...]
    items: list[int]
    targets: list[list[int]]


def score(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    targets: Sequence[str],
    *,
    batch_size: int = 64,
    tick: Tick = lambda done: None,
) -> Scores:
    """Score `targets[i]` given `prompts[i]`. `batch_size` counts prompts; `tick(n)` tells progress.

    Raises ScoringError for an empty target, a prompt and target longer than the context, or a
    model that is not causal.
    """
    prove_causal(model)
    refuse_left_over(model)
    groups = _group(tokenizer, prompts, targets, context_of(model))
    # Decoding starts from the prompt by itself: where a token reaches across its end, elsewhere.
    unique = list(dict.fromkeys(prompts))
    encoded = encode(tokenizer, unique)
    alone = {text: tuple(ids) for text, (ids, _) in zip(unique, encoded, strict=True)}
    log_prob = torch.zeros(len(prompts), dtype=torch.float64)
    n_tokens = torch.zeros(len(prompts), dtype=torch.int64)
    greedy = torch.zeros(len(prompts), dtype=torch.bool)
    batches = _batches(groups, batch_size)
    with evaluating(model):
        scored = spread(model, partial(_score_batch, model), batches)
        for batch, found in zip(batches, scored, strict=True):
            items = [item for group in batch for item in group.items]
            log_prob[items], greedy[items] = found
            greedy[items] &= torch.tensor(
                [alone[prompts[item]] == group.prompt for group in batch for item in group.items]
            )
            n_tokens[items] = torch.tensor([len(t) for group in batch for t in group.targets])
            tick(len(items))
    return Scores(log_prob, n_tokens, greedy)


def _group(
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    targets: Sequence[str],
    context: int | None,
) -> list[_Group]:
    groups: dict[tuple[tuple[int, ...], int], _Group] = {}
    texts = [prompt + target for prompt, target in zip(prompts, targets, strict=True)]
    for item, (ids, offsets) in enumerate(encode(tokenizer, texts)):
        start = next((i for i, (_, end) in enumerate(offsets) if end > len(prompts[item])), None)
        if start is None:
            raise ScoringError(f"the target after {prompts[item]!r} is empty; give it a text")
        if start == 0:
            raise ScoringError(
                f"nothing stands before the target {targets[item]!r}; give a prompt, or a "
                "tokenizer that begins every text with a special token"
            )
        if context is not None and len(ids) > context:
            raise ScoringError(
                f"{texts[item][:60]!r}… has {len(ids)} tokens; the model reads {context}"
            )
        prompt = tuple(ids[:start])
        # Targets of similar length stay together: reading a prompt again costs less than padding.
        bucket = (len(ids) - start) // BUCKET
        group = groups.setdefault((prompt, bucket), _Group(prompt, [], []))
        group.items.append(item)
        group.targets.append(ids[start:])
    return list(groups.values())


def _batches(groups: Sequence[_Group], batch_size: int) -> list[list[_Group]]:
    """Groups with prompts of equal length together; each batch within a bound on targets."""
    lengths = [(len(group.prompt), len(group.targets[0]) // BUCKET) for group in groups]

    def fits(some: Sequence[int]) -> bool:
        targets = sum(len(groups[n].items) for n in some)
        return len(some) <= batch_size and targets <= MOST_TARGETS

    return [[groups[n] for n in some] for some in batch_equals(lengths, fits)]


@torch.no_grad()  # per thread, so it stands here and not at `score`
def _score_batch(
    model: PreTrainedModel, batch: Sequence[_Group]
) -> tuple[Float[Tensor, " item"], Bool[Tensor, " item"]]:
    device = model.device
    prompts = torch.tensor([group.prompt for group in batch], device=device)
    counts = torch.tensor([len(group.items) for group in batch], device=device)
    ids, mask = pad([target for group in batch for target in group.targets], device)
    kept = mask.bool()

    alike = reads_alike_up_to(model)
    if alike is not None and prompts.shape[1] + ids.shape[1] - 1 > alike:
        return _score_whole(model, batch)
    if ids.shape[1] > 1 and not can_continue(model):
        return _score_whole(model, batch)
    out = model(input_ids=prompts, use_cache=ids.shape[1] > 1)
    cache = plain_cache(out)
    if ids.shape[1] > 1 and cache is None:
        return _score_whole(model, batch)
    log_probs, greedy = _chosen(out.logits[:, -1].repeat_interleave(counts, dim=0), ids[:, 0])
    if cache is not None and ids.shape[1] > 1:
        _repeat(cache, counts)
        rest = model(input_ids=ids[:, :-1], past_key_values=cache, use_cache=True).logits
        later, later_greedy = _chosen(rest, ids[:, 1:])
        log_probs = log_probs + later.where(kept[:, 1:], 0.0).sum(-1)
        greedy = greedy & (later_greedy | ~kept[:, 1:]).all(-1)
    return log_probs.cpu(), greedy.cpu()


def _score_whole(
    model: PreTrainedModel, batch: Sequence[_Group]
) -> tuple[Float[Tensor, " item"], Bool[Tensor, " item"]]:
    """For models that remember a text by more than keys and values: every text is read from its
    beginning, beside others of its own length only."""
    texts = [([*group.prompt, *target], len(target)) for group in batch for target in group.targets]
    log_probs = torch.zeros(len(texts), dtype=torch.float64)
    greedy = torch.zeros(len(texts), dtype=torch.bool)
    for rows in batch_equals([len(text) for text, _ in texts], lambda _: True):
        ids = torch.tensor([texts[row][0] for row in rows], device=model.device)
        likely, said = _chosen(_left_to_right(model, ids[:, :-1]), ids[:, 1:])
        for row, each, best in zip(rows, likely.cpu(), said.cpu(), strict=True):
            log_probs[row] = each[-texts[row][1] :].sum()
            greedy[row] = best[-texts[row][1] :].all()
    return log_probs, greedy


def _left_to_right(
    model: PreTrainedModel, ids: Int[Tensor, "text token"]
) -> Float[Tensor, "text token vocabulary"]:
    """Logits as if tokens came one by one. A model that reads long texts in another way gives
    those of the first tokens before it knows that the text is long."""
    logits: Tensor = model(input_ids=ids, use_cache=False).logits
    alike = reads_alike_up_to(model)
    if alike is None or ids.shape[1] <= alike:
        return logits
    short = model(input_ids=ids[:, :alike], use_cache=False).logits
    return torch.cat([short, logits[:, alike:]], dim=1)


def _chosen(
    logits: Float[Tensor, "*batch vocabulary"], ids: Int[Tensor, "*batch"]
) -> tuple[Float[Tensor, "*batch"], Bool[Tensor, "*batch"]]:
    """Log-probability of the given token, and whether it is the most likely one."""
    return log_probs_of(logits, ids), logits.argmax(-1) == ids


def log_probs_of(
    logits: Float[Tensor, "*batch vocabulary"], ids: Int[Tensor, "*batch"]
) -> Float[Tensor, "*batch"]:
    """Take each token's log-probability [nat] from the logits that predict it, in float64."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return (logits.gather(-1, ids[..., None])[..., 0] - logits.logsumexp(-1)).double()


def _repeat(cache: DynamicCache, counts: Int[Tensor, " group"]) -> None:
    """Each prompt's keys and values once for each of its targets."""
    index = torch.arange(len(counts), device=counts.device).repeat_interleave(counts)
    cache.batch_select_indices(index)
