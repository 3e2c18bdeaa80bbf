"""Facts edited one after the other, one and both ways and together, and asked after each."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from interp_rc.measures.editing.asked import Answered, Questions, ask, questions
from interp_rc.measures.editing.cases import Case, Known
from interp_rc.models.load import Loaded
from interp_rc.tools.editing.keys import mean_keys
from interp_rc.tools.editing.rank_one import edited
from interp_rc.tools.editing.requests import Request, asking
from interp_rc.tools.editing.rome import jointly
from interp_rc.tools.editing.values import changes_sought

Kind = Literal["one_way", "two_way", "batch"]
Moments = Mapping[int, Float[Tensor, "neuron neuron"]]
Vectors = tuple[Float[Tensor, "request neuron"], Float[Tensor, "request width"]]
NEW = ("efficacy", "paraphrase")
WEIGHT = 10.0  # of what should stay, where many facts are edited together


class Edits:
    """A model, its cases, and what it says of them before anything is edited."""

    def __init__(
        self, model: Loaded, known: Known, cases: Sequence[Case], moments: Moments
    ) -> None:
        self.model, self.known, self.moments = model, known, moments
        self.asked: dict[Case, Questions] = {case: questions(model, known, case) for case in cases}
        self.sought: dict[tuple[Request, int], list[Tensor]] = {}
        self.before = {case: ask(model, some) for case, some in self.asked.items()}

    def in_every_layer(self, layers: Sequence[int]) -> pd.DataFrame:
        """Every case by itself, one way: how likely its new answer becomes, by layer."""
        rows: list[dict[str, Any]] = []
        for layer in layers:
            cases, (keys, changes) = self._sought(dict.fromkeys(self.asked, layer), layer)
            for n, case in enumerate(tqdm(cases, desc=f"edits of layer {layer}", disable=None)):
                some = self.asked[case].about(*NEW)
                rows += self._edited(case, some, layer, "one_way", keys[[n]], changes[[n]])
        return pd.DataFrame(rows)

    def by_itself(self, at: Mapping[Case, int]) -> pd.DataFrame:
        """Every case in its layer: A -> B' alone (`one_way`), and with B' -> A, both solved
        together (`two_way`), after each of which everything is asked."""
        rows: list[dict[str, Any]] = []
        for layer in sorted(set(at.values())):
            cases, (keys, changes) = self._sought(at, layer, back=True)
            for n, case in enumerate(tqdm(cases, desc=f"edits of layer {layer}", disable=None)):
                some = self.asked[case]
                both = [n, n + len(cases)]
                rows += self._edited(case, some, layer, "one_way", keys[[n]], changes[[n]])
                rows += self._edited(case, some, layer, "two_way", keys[both], changes[both])
        return pd.DataFrame(rows)

    def together(self, at: Mapping[Case, int]) -> pd.DataFrame:
        """All cases of an order, a group and a half at once, one way."""
        groups: dict[Any, dict[Case, int]] = {}
        for case, layer in at.items():
            groups.setdefault((*case.cell, case.half, layer), {})[case] = layer
        rows: list[dict[str, Any]] = []
        for (*_, layer), group in groups.items():
            cases, (keys, changes) = self._sought(group, layer)
            solved = jointly(layer, keys, changes, self.moments[layer], WEIGHT)
            with edited(self.model, solved):
                for case in cases:
                    after = ask(self.model, self.asked[case])
                    rows += _rows(case, layer, "batch", self.before[case], after)
        return pd.DataFrame(rows)

    def _sought(
        self, at: Mapping[Case, int], layer: int, *, back: bool = False
    ) -> tuple[list[Case], Vectors]:
        """Keys and changes of the cases of a layer; with `back`, then those of B' -> A. What was
        sought before is remembered."""
        cases = [case for case, one in at.items() if one == layer]
        requests = [self.known.one_way(case) for case in cases]
        if back:
            requests += [self.known.way_back(case) for case in cases]
        new = [one for one in dict.fromkeys(requests) if (one, layer) not in self.sought]
        if new:
            keys = mean_keys(self.model, asking(self.model, new), [layer])[:, 0]
            changes = changes_sought(self.model, new, layer)
            self.sought |= {
                (one, layer): both for one, *both in zip(new, keys, changes, strict=True)
            }
        found = [self.sought[one, layer] for one in requests]
        return cases, (torch.stack([k for k, _ in found]), torch.stack([c for _, c in found]))

    def _edited(
        self,
        case: Case,
        some: Questions,
        layer: int,
        kind: Kind,
        keys: Float[Tensor, "request neuron"],
        changes: Float[Tensor, "request width"],
    ) -> Iterator[dict[str, Any]]:
        with edited(self.model, jointly(layer, keys, changes, self.moments[layer])):
            after = ask(self.model, some)
        yield from _rows(case, layer, kind, self.before[case], after)


def best_layers(table: pd.DataFrame, cases: Iterable[Case]) -> dict[Case, int]:
    """For every case the layer whose one-way edits of the facts of the other half, told in the
    same order and group, make the new answer likeliest in other words."""
    some = table[(table.edit == "one_way") & (table.asked == "paraphrase")]
    means = some.pivot_table(index=["order", "group", "half"], columns="layer", values="value")
    best = means.idxmax(axis=1)
    return {case: int(best[case.order, case.group, 1 - case.half]) for case in cases}


def _rows(
    case: Case,
    layer: int,
    edit: Kind,
    before: Mapping[str, Answered],
    after: Mapping[str, Answered],
) -> list[dict[str, Any]]:
    return [
        {
            "fact": case.fact,
            "other": case.other,
            "order": case.order,
            "group": case.group,
            "half": case.half,
            "layer": layer,
            "edit": edit,
            "asked": what,
            "before": before[what].log_prob,
            "value": found.log_prob,
            "effect": found.log_prob - before[what].log_prob,
            "said_before": before[what].said,
            "said": found.said,
            "preferred": found.preferred,
            "rank_before": before[what].rank,
            "rank": found.rank,
        }
        for what, found in after.items()
    ]
