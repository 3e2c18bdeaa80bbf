"""The batches of a training, laid out before it starts, so that a resumed one repeats them."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor
from torch.utils.data import Dataset

from interp_rc.models.batching import pad
from interp_rc.records.seeds import generator

IGNORED = -100
POOL = 50  # batches whose documents are sorted by length together


class Example(NamedTuple):
    """Token ids, and labels of the same length; IGNORED labels bear no loss."""

    ids: list[int]
    labels: list[int]


def plan_batches(
    lengths: Sequence[int], *, batch_size: int, epochs: int, seed: int
) -> list[list[int]]:
    """Indices of every batch of every epoch; documents of similar length share a batch."""
    plan = []
    for epoch in range(epochs):
        draw = generator(seed, "batches", epoch)
        order = draw.sample(range(len(lengths)), len(lengths))
        batches = []
        for first in range(0, len(order), batch_size * POOL):
            pool = sorted(order[first : first + batch_size * POOL], key=lengths.__getitem__)
            batches += [pool[i : i + batch_size] for i in range(0, len(pool), batch_size)]
        draw.shuffle(batches)
        plan += batches
    return plan


class Batches(Dataset[dict[str, Tensor]]):
    """Item i is the i-th batch, padded on the right."""

    def __init__(self, examples: Sequence[Example], plan: Sequence[Sequence[int]]) -> None:
        self.examples, self.plan = examples, plan

    def __len__(self) -> int:
        return len(self.plan)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        chosen = [self.examples[i] for i in self.plan[index]]
        ids, mask = pad([example.ids for example in chosen])
        labels, _ = pad([example.labels for example in chosen], value=IGNORED)
        return {"input_ids": ids, "labels": labels, "attention_mask": mask}


def only(items: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Collate for a loader whose items are whole batches already."""
    (batch,) = items
    return batch
