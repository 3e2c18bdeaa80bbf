"""Prompts with their targets, run once each, in batches that fit into memory."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm import tqdm

from interp_rc.engine.cached import Cached, cache
from interp_rc.engine.inputs import Input
from interp_rc.engine.memory import Budget, default_memory
from interp_rc.engine.sites import covered
from interp_rc.facts.contrast_faults import span_fault
from interp_rc.models.adapters.layerwise import Layerwise
from interp_rc.models.adapters.parts import Place
from interp_rc.models.batching import batch_by_length
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import Contrast

At = tuple[Int[Tensor, " token"], Int[Tensor, " token"]]  # prompt (of the batch), position


@dataclass(frozen=True, slots=True)
class Observed:
    """A batch: the inputs `numbers`, cached."""

    numbers: list[int]
    inputs: list[Input]
    cached: Cached

    def predicting(self) -> At:
        """The tokens that predict the targets' tokens, prompt by prompt."""
        return self.at([one.reads for one in self.inputs])

    def at(self, positions: Sequence[Sequence[int]]) -> At:
        """Some positions of each input, input by input."""
        device = self.cached.lengths.device
        rows = [row for row, here in enumerate(positions) for _ in here]
        flat = [position for here in positions for position in here]
        return torch.tensor(rows, device=device), torch.tensor(flat, device=device)

    def summed(self, values: Float[Tensor, " token"], at: At) -> Float[Tensor, " prompt"]:
        """Over the tokens of each prompt, in float64."""
        found = torch.zeros(len(self.inputs), dtype=torch.float64, device=values.device)
        return found.index_add(0, at[0], values.double())


def observed(
    layers: Layerwise,
    inputs: Sequence[Input],
    keep: Collection[Place],
    what: str,
    memory: int | None = None,
) -> Iterator[Observed]:
    """Every input once, those of like length together; `keep` besides the residual stream.

    `memory` in bytes; default as for patching. The model's layers can be used in between.
    """
    memory = default_memory(layers.home) if memory is None else memory
    budget = Budget(layers, memory, at_once=1)
    lengths = [len(one.ids) for one in inputs]

    def fits(some: Sequence[int]) -> bool:
        longest = lengths[some[-1]]
        needed = len(some) * budget.of_pair(longest, keep, (), 0)
        return len(some) * longest <= budget.tokens and needed <= budget.cached

    with (
        layers.opened(),
        torch.no_grad(),
        tqdm(total=len(inputs), desc=what, unit="prompt", disable=None) as bar,
    ):
        for numbers in batch_by_length(layers.model, lengths, fits):
            some = [inputs[number] for number in numbers]
            yield Observed(numbers, some, cache(layers, some, keep))
            bar.update(len(numbers))


def source_tokens(contrast: Contrast, read: Input) -> list[int]:
    """Positions of the clean prompt's source; DataError if the contrast has none."""
    if "source" not in contrast.spans:
        raise DataError(f"{contrast.named} has no span 'source', the entity of its prompt; add it")
    fault = span_fault(contrast, "source")
    if fault is not None:
        raise DataError(f"{contrast.named}: {fault}; correct it")
    [span, *_] = contrast.spans["source"]
    return covered(read.offsets[: read.start], span, f"{contrast.named}: span 'source'")
