"""Erased by an edit: the fact overwritten with its partner's answer by a rank-one change."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from jaxtyping import Float
from torch import Tensor

from interp_rc.engine.inputs import read_inputs
from interp_rc.measures.erasure.asking import Case, items_of
from interp_rc.measures.erasure.descent import lead_of
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.load import Loaded
from interp_rc.records.errors import DataError
from interp_rc.tools.editing.keys import second_moments
from interp_rc.tools.editing.rank_one import RankOne, edited
from interp_rc.tools.editing.requests import requests_of
from interp_rc.tools.editing.rome import invertible, rome
from interp_rc.tools.editing.values import SEARCH, Search

FEW = 4  # facts that choose the layer
ROUGHLY = 15  # steps that values are sought in to choose it
LONGEST = 1.0  # times the edit as it was solved
ROUNDS = 5  # of bisection
NEAR = 0.02  # of the lead

Moments = Mapping[int, Float[Tensor, "neuron neuron"]]


def key_moments(model: Loaded, texts: Sequence[str]) -> Moments:
    """Made invertible; of all layers but those whose neurons hold nothing in any text, where no key
    could be written to. Raises DataError where that leaves none."""
    found = second_moments(model, texts, [*range(Adapter(model.model).layers)])
    some = {layer: invertible(one) for layer, one in found.items() if one.any()}
    if not some:
        raise DataError("no neuron of this model holds anything in the texts; give others")
    return some


def overwriting(model: Loaded, cases: Sequence[Case], moments: Moments) -> list[RankOne]:
    """An edit of each case (ROME) that makes its prompts say the partner's answer, all in the layer
    where the first few cost their facts most lead in those same prompts."""

    def edits(some: Sequence[Case], layer: int, search: Search) -> list[RankOne]:
        requests = requests_of([one for case in some for one in case.contrasts])
        return rome(model, requests, layer, moments[layer], search=search)

    few = cases[:FEW]
    costs = {}
    for layer in moments:
        costs[layer] = 0.0
        for case, edit in zip(few, edits(few, layer, replace(SEARCH, steps=ROUGHLY)), strict=True):
            costs[layer] -= lead_with(model, case, edit, 1.0)
    return edits(cases, max(costs, key=lambda layer: costs[layer]), SEARCH)


def lead_with(model: Loaded, case: Case, edit: RankOne, length: float) -> float:
    """The mean lead where the case is erased, with so many times the edit [nat]."""
    with edited(model, [longer(edit, length)]):
        questions = case.of("erasing")
        return lead_of(model, questions, read_inputs(model, *items_of(questions)))


def longer(edit: RankOne, length: float) -> RankOne:
    return replace(edit, value=edit.value * length)


def far_enough(model: Loaded, case: Case, edit: RankOne, share: float) -> tuple[float, bool]:
    """How many times the edit it takes for the lead to fall by `share`, and whether it does; the
    longest that is tried where it does not."""
    start = lead_with(model, case, edit, 0.0)
    goal = (1 - share) * start
    if not start > 0 or lead_with(model, case, edit, LONGEST) > goal:
        return LONGEST, False
    low, high = 0.0, LONGEST
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        lead = lead_with(model, case, edit, middle)
        if abs(lead - goal) < NEAR * start:
            return middle, True
        low, high = (low, middle) if lead < goal else (middle, high)
    return high, True
