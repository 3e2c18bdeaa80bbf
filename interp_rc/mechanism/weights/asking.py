"""The questions that are asked of a model while its weights are moved, read once."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from interp_rc.mechanism.inputs import Input, read_inputs
from interp_rc.mechanism.metrics import Asked, measured
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.adapters.layerwise import Layerwise, unchanged
from interp_rc.models.adapters.ragged import whole_prompts
from interp_rc.models.load import Loaded
from interp_rc.records.nouns import Contrast, Direction, Order, Query, Subset

AT_ONCE = 64


class Question(NamedTuple):
    """A prompt, the answer of its fact, and the answer of another fact of the same kind."""

    query: str
    fact: str
    order: Order | None
    prompt: str
    target: str
    other: str | None = None
    subset: Subset | None = None
    direction: Direction | None = None


def from_contrasts(contrasts: Sequence[Contrast]) -> list[Question]:
    return [Question(c.id, c.fact, c.order, c.clean, c.target, c.foil) for c in contrasts]


def from_queries(queries: Sequence[Query]) -> list[Question]:
    """Each with the target of the next fact of its subset and template."""
    groups: dict[tuple[str, str], list[Query]] = {}
    for query in queries:
        groups.setdefault((query.subset, query.template), []).append(query)
    other = {
        one.id: another.target
        for some in groups.values()
        for one, another in zip(some, [*some[1:], some[0]], strict=True)
        if one.target != another.target
    }
    return [
        Question(q.id, q.fact, q.order, q.prompt, q.target, other.get(q.id), q.subset, q.direction)
        for q in queries
    ]


class Asking:
    """Prompts with their targets as token ids, to be scored many times.

    log p(target | prompt), natural log, summed over the target's tokens: as `models.scoring` has
    it, without tokenising anew. Nothing is padded. The model may be changed between two calls.
    """

    def __init__(self, loaded: Loaded, prompts: Sequence[str], targets: Sequence[str]) -> None:
        inputs = read_inputs(loaded, prompts, targets)
        self.size = len(inputs)
        # Prompts of like length stay together; results are in the order given.
        self._order = sorted(range(len(inputs)), key=lambda i: len(inputs[i].ids))
        sets = [self._order[i : i + AT_ONCE] for i in range(0, len(inputs), AT_ONCE)]
        self._batches = [_Batch.of([inputs[i] for i in some]) for some in sets]

    @torch.no_grad()
    def log_probs(self, adapter: Adapter) -> Float[Tensor, " question"]:
        """In float64, on the CPU."""
        runs = adapter.by_layers
        with runs.opened():
            found = torch.cat([batch.log_probs(runs).double().cpu() for batch in self._batches])
        return torch.empty_like(found).index_copy_(0, torch.tensor(self._order), found)


class _Batch(NamedTuple):
    ids: Int[Tensor, "prompt position"]
    lengths: Int[Tensor, " prompt"]
    asked: Asked

    @classmethod
    def of(cls, inputs: Sequence[Input]) -> "_Batch":
        ids = pad_sequence([torch.tensor(one.ids) for one in inputs], batch_first=True)
        lengths = torch.tensor([len(one.ids) - 1 for one in inputs])  # nothing reads the last
        return cls(ids, lengths, Asked.of(inputs, int(lengths.max()), torch.device("cpu")))

    def log_probs(self, runs: Layerwise) -> Float[Tensor, " prompt"]:
        home = runs.home
        layout = whole_prompts(self.lengths.to(home))
        last, _ = runs.whole(self.ids.to(home), self.lengths.to(home), lambda _: unchanged)
        asked = Asked(self.asked.read.to(home), self.asked.target.to(home))
        read = asked.read[layout.row, layout.position]
        at = (layout.row[read], layout.position[read])
        return measured("log_prob", runs, asked, last[read], at, at[0], len(self.ids))
