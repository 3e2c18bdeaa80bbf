"""The questions that are asked of a model while its weights are moved, read once."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp_rc.engine.inputs import Input, read_inputs
from interp_rc.engine.metrics import Asked, measured
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.adapters.layerwise import Layerwise, unchanged
from interp_rc.models.adapters.ragged import whole_prompts
from interp_rc.models.batching import at_most, batch_by_length, pad
from interp_rc.models.load import Loaded
from interp_rc.records.nouns import Contrast, Direction, Order, Query, Subset

AT_ONCE = 64

Metric = Literal["answer", "fact", "lead"]
METRICS: tuple[Metric, ...] = get_args(Metric)


class Question(NamedTuple):
    """A prompt and the answer of its fact; the prompt of another fact of the same kind, after
    which that answer is wrong; and that one's own answer, the foil."""

    query: str
    fact: str
    order: Order | None
    prompt: str
    target: str
    other: str
    subset: Subset | None = None
    direction: Direction | None = None
    template: str | None = None
    foil: str | None = None


class Said(NamedTuple):
    """log p(target | prompt) after the fact's `own` prompt and after the `other` one, and of the
    `foil` after the own one (NaN where it was not asked) [nat]."""

    own: Float[Tensor, " question"]
    other: Float[Tensor, " question"]
    foil: Float[Tensor, " question"]

    @property
    def fact(self) -> Float[Tensor, " question"]:
        """What is known of the very fact, and not only that there are such answers."""
        return self.own - self.other

    @property
    def lead(self) -> Float[Tensor, " question"]:
        """Of the answer over the foil: it can fall where the answer's own log-probability is
        certain, and does not rise when that after the other prompt falls."""
        return self.own - self.foil

    def of(self, metric: Metric) -> Float[Tensor, " question"]:
        return {"answer": self.own, "fact": self.fact, "lead": self.lead}[metric]


def from_contrasts(contrasts: Sequence[Contrast]) -> list[Question]:
    return [
        Question(c.id, c.fact, c.order, c.clean, c.target, c.corrupted, foil=c.foil)
        for c in contrasts
    ]


def from_queries(queries: Sequence[Query]) -> list[Question]:
    """Each with the prompt about the next fact of its subset in the same template; a query that is
    alone there is left out."""
    return paired_anew(
        [
            Question(
                q.id, q.fact, q.order, q.prompt, q.target, "", q.subset, q.direction, q.template
            )
            for q in queries
        ]
    )


def paired_anew(questions: Sequence[Question]) -> list[Question]:
    """Some of the questions, with the prompts of each other: every prompt of a subset and template
    is then as often an own as another one, and what it does to all answers cancels in the mean."""
    groups: dict[tuple[str | None, str | None], list[Question]] = {}
    for one in questions:
        groups.setdefault((one.subset, one.template), []).append(one)
    other = {
        one.query: another
        for some in groups.values()
        for one, another in zip(some, [*some[1:], some[0]], strict=True)
        if one is not another
    }
    return [
        one._replace(other=other[one.query].prompt, foil=other[one.query].target)
        for one in questions
        if one.query in other
    ]


class Asking:
    """Questions as token ids, to be put many times.

    Log-probabilities are natural and summed over the target's tokens: as `models.scoring` has them,
    without tokenising anew. Nothing is padded. The model may be changed between two calls. Foils
    are asked too with `leads`, if every question has one.
    """

    def __init__(
        self, loaded: Loaded, questions: Sequence[Question], *, leads: bool = False
    ) -> None:
        asked = [(q.prompt, q.target) for q in questions]
        asked += [(q.other, q.target) for q in questions]
        self.leads = leads and all(q.foil for q in questions)
        if self.leads:
            asked += [(q.prompt, str(q.foil)) for q in questions]
        inputs = read_inputs(loaded, [p for p, _ in asked], [t for _, t in asked])
        self.questions = list(questions)
        lengths = [len(one.ids) for one in inputs]
        sets = batch_by_length(loaded.model, lengths, at_most(AT_ONCE))
        self._order = [number for some in sets for number in some]
        self._batches = [_Batch.of([inputs[i] for i in some]) for some in sets]

    @torch.no_grad()
    def said(self, adapter: Adapter) -> Said:
        """In float64, on the CPU."""
        runs = adapter.by_layers
        with runs.opened():
            found = torch.cat([batch.log_probs(runs).cpu().double() for batch in self._batches])
        ordered = torch.empty_like(found).index_copy_(0, torch.tensor(self._order), found)
        own, other, *foil = torch.split(ordered, len(self.questions))
        return Said(own, other, *(foil or [torch.full_like(own, torch.nan)]))

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What the answers tell."""
        return METRICS if self.leads else METRICS[:-1]


class _Batch(NamedTuple):
    ids: Int[Tensor, "prompt position"]
    lengths: Int[Tensor, " prompt"]
    asked: Asked

    @classmethod
    def of(cls, inputs: Sequence[Input]) -> "_Batch":
        ids, _ = pad([one.ids for one in inputs])
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
