"""Patching by full forward passes with hooks: exact, slower, for whatever has no faster way.

So are patched the models of families that have no adapter, and modules by their names.
"""

import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager

import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from interp_rc.engine.cached import Cached
from interp_rc.engine.inputs import Input
from interp_rc.engine.memory import Budget
from interp_rc.engine.metrics import Asked, measured
from interp_rc.engine.names import Metric
from interp_rc.engine.steps import ChangedRun, Give, token_of
from interp_rc.models.adapters.adapter import FAMILIES, Adapter
from interp_rc.models.adapters.parts import Edit, Place
from interp_rc.models.batching import at_most, batch_by_length, pad
from interp_rc.models.dimensions import vocabulary_of
from interp_rc.models.machine import device_of

START = Place("resid_pre", 0)


class FullPasses:
    """In the place of `Layerwise`, for an adapter's places and some modules."""

    def __init__(self, adapter: Adapter, modules: Collection[Place] = ()) -> None:
        self.adapter, self.modules = adapter, modules
        self.model, self.parts = adapter.model, adapter.parts
        self.home = device_of(self.model)
        if not self.parts.known:
            warnings.warn(
                f"no adapter knows models of type {self.model.config.model_type!r} (known: "
                f"{', '.join(sorted(FAMILIES))}): patching runs full forward passes with hooks, "
                "which is exact but slow",
                stacklevel=2,
            )

    @property
    def layers(self) -> int:
        return self.adapter.layers

    def opened(self) -> AbstractContextManager[None]:
        return self.adapter.hooked(self.modules)

    def logits(self, stream: Tensor) -> Tensor:
        """What is kept of the last layer are the logits themselves."""
        return stream

    def cache(
        self,
        inputs: Sequence[Input],
        keep: Collection[Place],
        noise: Float[Tensor, "prompt position width"] | None,
    ) -> Cached:
        """Run the prompts, keeping logits and the places of `keep`."""
        ids, mask = pad([one.ids for one in inputs], self.home)
        edits, noised = {}, None
        if noise is not None:
            _, at = self.adapter.run(ids, mask, capture=[START])
            noised = at[START].clone()
            noised[:, : noise.shape[1]] += noise.to(noised)
            edits = {START: _everywhere(noised)}
        logits, at = self.adapter.run(ids, mask, capture=keep, edits=edits)
        asked = Asked.of(inputs, ids.shape[1], self.home)
        return Cached(mask.sum(1), asked, [logits], [], dict(at), ids, noised)

    def continued(
        self,
        taking: Cached,
        changed: Sequence[ChangedRun],
        give: Give,
        metric: Metric,
        budget: Budget,
        bar: tqdm,
    ) -> Iterator[tuple[ChangedRun, float]]:
        """Each run with the metric that it leads to."""
        lengths = taking.lengths.tolist()
        width = budget.width * 8 + vocabulary_of(self.model)
        rows = min(budget.tokens, budget.wave // (budget.item * width)) // taking.positions
        of_runs = [lengths[run.base] for run in changed]
        for numbers in batch_by_length(self.model, of_runs, at_most(rows)):
            some = [changed[number] for number in numbers]
            values = self._run(taking, some, give, metric).tolist()
            bar.update(len(some))
            yield from zip(some, values, strict=True)

    def _run(
        self, taking: Cached, changed: Sequence[ChangedRun], give: Give, metric: Metric
    ) -> Float[Tensor, " run"]:
        base = torch.tensor([run.base for run in changed], device=taking.lengths.device)
        lengths = taking.lengths[base]
        ids = taking.ids[base, : int(lengths.max())]
        edits = self._edits(taking, changed, give)
        if taking.noised is not None:
            start = taking.noised[base, : ids.shape[1]].clone()
            if START in edits:
                start[edits[START].rows, edits[START].positions] = edits[START].values.to(start)
            edits[START] = _everywhere(start)
        mask = (torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]).long()
        logits, _ = self.adapter.run(ids, mask, edits=edits)
        row, position = taking.asked.read[base].nonzero(as_tuple=True)
        at = (base[row], position)
        return measured(metric, self, taking.asked, logits[row, position], at, row, len(changed))

    def _edits(
        self, taking: Cached, changed: Sequence[ChangedRun], give: Give
    ) -> dict[Place, Edit]:
        places = dict.fromkeys(step.place for run in changed for step in run.steps)
        edits = {}
        for place in places:
            members = [
                (n, run, step)
                for n, run in enumerate(changed)
                for step in run.steps
                if step.place == place
            ]
            token = token_of(taking, [p for _, p, _ in members], [s for _, _, s in members])
            rows = [n for n, _, step in members for _ in step.writes]
            edits[place] = Edit(torch.tensor(rows), token.write.cpu(), give(place, token))
        return edits


def _everywhere(values: Float[Tensor, "row position width"]) -> Edit:
    rows, positions = values.shape[:2]
    row, position = torch.meshgrid(torch.arange(rows), torch.arange(positions), indexing="ij")
    return Edit(row.flatten(), position.flatten(), values.flatten(0, 1))
