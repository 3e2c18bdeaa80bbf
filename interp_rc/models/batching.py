"""Which texts are read together: the one place where that is decided, and where they are padded."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel

from interp_rc.models.module_state import reads_alike_up_to

Fits = Callable[[Sequence[int]], bool]
"""Whether these items, the longest last, may share a batch."""


def batch_by_length(model: PreTrainedModel, lengths: Sequence[int], fits: Fits) -> list[list[int]]:
    """Put the numbers of texts into batches, those of like length together.

    Args:
        model: What reads them. Where it reads every text of a batch in another way as soon as the
            longest passes a limit (LongRoPE), no batch has texts on both sides of it.
        lengths: Of each text, in tokens.
        fits: Bounds a batch; a text that does not fit alone has a batch of its own.

    Returns:
        Every number once, from the shortest text to the longest; texts of one length in the order
        given.
    """
    alike = reads_alike_up_to(model)

    def together(some: Sequence[int]) -> bool:
        shortest, longest = lengths[some[0]], lengths[some[-1]]
        return (alike is None or longest <= alike or shortest > alike) and fits(some)

    return _filled(lengths, together)


def batch_equals(keys: Sequence[Any], fits: Fits) -> list[list[int]]:
    """Put the numbers of items into batches of equal keys, in the order of keys.

    Raises what comparing two keys does.
    """
    return _filled(keys, lambda some: keys[some[0]] == keys[some[-1]] and fits(some))


def at_most(count: int) -> Fits:
    """Bound the items of a batch."""
    return lambda some: len(some) <= count


def _filled(keys: Sequence[Any], fits: Fits) -> list[list[int]]:
    batches: list[list[int]] = []
    for item in sorted(range(len(keys)), key=keys.__getitem__):
        if batches:
            batches[-1].append(item)
            if fits(batches[-1]):
                continue
            batches[-1].pop()
        batches.append([item])
    return batches


def pad(
    rows: Sequence[Sequence[int]], device: torch.device | str = "cpu", *, value: int = 0
) -> tuple[Int[Tensor, "row pos"], Int[Tensor, "row pos"]]:
    """Pad token ids on the right, where a causal model does not look, and give their mask."""
    each = [torch.tensor(row, dtype=torch.int64) for row in rows]
    ids = pad_sequence(each, batch_first=True, padding_value=value)
    mask = pad_sequence([torch.ones_like(row) for row in each], batch_first=True)
    return ids.to(device), mask.to(device)
