"""Two facts' values exchanged: does the one's key then bring the other's answer?"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import pandas as pd
import torch
from jaxtyping import Int
from torch import Tensor
from tqdm import tqdm

from interp_rc.engine.cases import read_cases
from interp_rc.engine.run_patches import cached_batches
from interp_rc.facts.contrasts import about_foil
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.load import Loaded
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import Contrast
from interp_rc.tools.neurons.coefficients import run_with, values_exchanged
from interp_rc.tools.neurons.ranking import Ranking, coefficient_runs

With = Literal["other", "third"]


class _Known(NamedTuple):
    """Contrasts by number: of a fact, of the one it is contrasted with, and of that one's own."""

    own: int
    other: int
    third: int


def exchange_values(
    model: Loaded,
    contrasts: Sequence[Contrast],
    rankings: Ranking,
    *,
    layer: int,
    ks: Sequence[int],
    memory: int | None = None,
) -> pd.DataFrame:
    """One row a contrast, exchange, k and target.

    In the clean prompt's run, the value vectors of the clean fact's first `k` own neurons of a
    `layer` and those of another fact are exchanged, rank by rank; neurons that both share stay.
    That fact is the `other` (the corrupted prompt's) or, as control, a `third` one:
    `swapped_with`. `of` says whose target is measured: `own` (the clean fact's) or `other` (the
    foil); `effect` is what its log-probability gained [nat]. If values are what a key brings, the
    foil gains from the exchange with its own fact, and not from that with the third.

    Left out are contrasts whose corrupted prompt is not the clean one of another contrast, or in
    turn its corrupted one: whose neurons to take is then not known. Raises DataError if that
    leaves none, or for a contrast without a foil.
    """
    adapter = Adapter(model.model)
    known = _known(contrasts)
    asked = {
        "own": [contrasts[three.own] for three in known],
        "other": [about_foil(contrasts[three.own]) for three in known],
    }
    rows: list[dict[str, Any]] = []
    total = 4 * len(ks) * len(known)
    with torch.no_grad(), tqdm(total=total, desc="values exchanged", disable=None) as bar:
        for of, some in asked.items():
            both = coefficient_runs(adapter, read_cases(model, model, some, "log_prob"), memory)
            runs = both.by_layers
            for batch in cached_batches(both, both.budget()):
                of_batch = [known[number] for number in batch.numbers]
                before = [clean for clean, _ in batch.known]
                for swapped_with, k, orders in _orders(rankings, of_batch, layer, ks):
                    with runs.opened():
                        changed = values_exchanged(layer, orders.to(runs.home))
                        values = run_with(runs, batch.giving, changed).tolist()
                    for three, value, old in zip(of_batch, values, before, strict=True):
                        one = contrasts[three.own]
                        row: dict[str, Any] = {"pair": one.id, "fact": one.fact, "order": one.order}
                        row |= {"swapped_with": swapped_with, "k": k, "layer": layer, "of": of}
                        rows.append(row | {"value": value, "effect": value - old})
                    bar.update(len(values))
    return pd.DataFrame(rows)


def _known(contrasts: Sequence[Contrast]) -> list[_Known]:
    whose = {(one.clean, one.target): number for number, one in enumerate(contrasts)}
    found = []
    for number, one in enumerate(contrasts):
        if one.foil is None:
            raise DataError(f"{one.named} has no foil, which the exchanged value should bring")
        other = whose.get((one.corrupted, one.foil))
        if other is not None:
            last = contrasts[other]
            third = whose.get((last.corrupted, str(last.foil)))
            if third not in (None, number):
                found.append(_Known(number, other, third))
    if not found:
        raise DataError(
            "no contrast's corrupted prompt is the clean one of another, whose own is that of a "
            "third, so that it is not known whose values to exchange; give at least three facts, "
            "each contrasted with the next"
        )
    return found


def _orders(
    rankings: Ranking, known: Sequence[_Known], layer: int, ks: Sequence[int]
) -> Iterator[tuple[With, int, Int[Tensor, "prompt neuron"]]]:
    ranked = {
        number: rankings.own[number, layer].argsort(descending=True, stable=True)
        for three in known
        for number in three
    }
    for k in ks:
        for swapped_with in ("other", "third"):
            yield (
                swapped_with,
                k,
                torch.stack(
                    [
                        exchange(ranked[three.own], ranked[getattr(three, swapped_with)], k)
                        for three in known
                    ]
                ),
            )


def exchange(
    first: Int[Tensor, " neuron"], second: Int[Tensor, " neuron"], k: int
) -> Int[Tensor, " neuron"]:
    """Where each neuron's value comes from, when the first `k` of both rankings are exchanged."""
    order = torch.arange(len(first))
    one, other = first[:k], second[:k]
    shared = one[torch.isin(one, other)]
    one, other = (some[~torch.isin(some, shared)] for some in (one, other))
    order[one], order[other] = other, one
    return order
