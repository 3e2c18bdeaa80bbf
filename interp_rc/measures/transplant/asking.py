"""The contrasts that are asked of a model while its weights are moved, read once."""

from collections.abc import Sequence
from dataclasses import replace
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
from interp_rc.records.nouns import Contrast

AT_ONCE = 64

Metric = Literal["answer", "fact", "lead"]
METRICS: tuple[Metric, ...] = get_args(Metric)


class Said(NamedTuple):
    """log p(target | prompt) after the clean prompt (`own`) and the corrupted one (`other`), and of
    the `foil` after the clean one (NaN where it was not asked) [nat]."""

    own: Float[Tensor, " contrast"]
    other: Float[Tensor, " contrast"]
    foil: Float[Tensor, " contrast"]

    @property
    def fact(self) -> Float[Tensor, " contrast"]:
        """What is known of the very fact, and not only that there are such answers."""
        return self.own - self.other

    @property
    def lead(self) -> Float[Tensor, " contrast"]:
        """Of the answer over the foil: it can fall where the answer's own log-probability is
        certain, and does not rise when that after the other prompt falls."""
        return self.own - self.foil

    def of(self, metric: Metric) -> Float[Tensor, " contrast"]:
        return {"answer": self.own, "fact": self.fact, "lead": self.lead}[metric]


def paired_anew(contrasts: Sequence[Contrast]) -> list[Contrast]:
    """Some contrasts, with the prompts of each other: every prompt of a group and template is then
    as often a clean as a corrupted one, and what it does to all answers cancels in the mean. What
    is alone there is left out."""
    groups: dict[tuple[str | None, str | None], list[Contrast]] = {}
    for one in contrasts:
        groups.setdefault((one.group, one.template), []).append(one)
    others = {
        one.id: other
        for some in groups.values()
        for one, other in zip(some, [*some[1:], some[0]], strict=True)
        if one is not other
    }
    return [
        replace(one, corrupted=other.clean, foil=other.target, partner=other.fact, spans={})
        for one in contrasts
        if (other := others.get(one.id))
    ]


class Asking:
    """Contrasts as token ids, to be asked many times.

    Log-probabilities are natural and summed over the target's tokens: as `models.scoring` has them,
    without tokenising anew. Nothing is padded. The model may be changed between two calls. Foils
    are asked too with `leads`, if every question has one.
    """

    def __init__(
        self, loaded: Loaded, contrasts: Sequence[Contrast], *, leads: bool = False
    ) -> None:
        asked = [(one.clean, one.target) for one in contrasts]
        asked += [(one.corrupted, one.target) for one in contrasts]
        self.leads = leads and all(one.foil for one in contrasts)
        if self.leads:
            asked += [(one.clean, str(one.foil)) for one in contrasts]
        inputs = read_inputs(loaded, [p for p, _ in asked], [t for _, t in asked])
        self.contrasts = list(contrasts)
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
        own, other, *foil = torch.split(ordered, len(self.contrasts))
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
