"""Effect against the rank of what is moved, and against the number of neurons."""

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
from tqdm import tqdm

from interp_rc.measures.transplant.asking import Asking, Said
from interp_rc.measures.transplant.low_rank import KEPT, Differences, ranks
from interp_rc.measures.transplant.neurons import PARTS, rank_neurons
from interp_rc.measures.transplant.pair import ACTS, Whole
from interp_rc.measures.transplant.single import about, ends, said
from interp_rc.models.dimensions import neurons_of
from interp_rc.records.nouns import Contrast
from interp_rc.records.seeds import derive_seed
from interp_rc.tools.weights.sites import WeightSite

KS = (16, 256)


def rank_effects(
    pair: Whole, sites: Sequence[WeightSite], asking: Asking, seed: int
) -> pd.DataFrame:
    """What the difference at `sites` brings into the base when only so much of it is given.

    `kept` says which singular directions of every matrix: the `top` ones up to `rank`, as many at
    `random` that are as large together, or the `rest` beyond them. One row a contrast; `answer`
    and `effect` as of sets of sites.
    """
    differences = Differences(pair, sites)
    begin = said(pair, "given", (), asking)
    rows: list[dict[str, Any]] = []
    asked = [(rank, kept) for rank in ranks(differences.rank) for kept in KEPT]
    for rank, kept in tqdm(asked, desc="ranks", disable=None):
        with differences.given(rank, kept, seed) as adapter:
            found = asking.said(adapter)
        rows += ({"rank": rank, "kept": kept} | row for row in _gains(asking, found, begin))
    return pd.DataFrame(rows)


def neuron_effects(
    pair: Whole, chosen_on: Sequence[Contrast], asking: Asking, seed: int
) -> pd.DataFrame:
    """What the keys, the values, or both of k neurons of all layers bring into the base (given) or
    cost the finetuned model (taken): the `top` ones by a first-order estimate on other facts, or
    others at `random` that move as much together."""
    rows: list[dict[str, Any]] = []
    known = ends(pair, asking)
    adapter = pair.adapter("given")
    every = adapter.layers * neurons_of(adapter.model)
    ks = [*(k for k in KS if k < every), every]
    asked = [(act, of) for act in ACTS for of in PARTS]
    for act, of in tqdm(asked, desc="neurons", disable=None):
        ranked = rank_neurons(pair, act, chosen_on, of)
        for k in ks:
            top = ranked.first(k, act)
            sets = {"top": top}
            if k < every:
                sets["random"] = ranked.alike(top, derive_seed(seed, act, of, k))
            for kind, numbers in sets.items():
                found = said(pair, act, ranked.sites(numbers, of), asking)
                which = {"act": act, "of": of, "set": kind, "k": k, "n": len(numbers)}
                which["square"] = float(ranked.square.flatten()[numbers].sum())
                rows += (which | row for row in _gains(asking, found, known.begins(act)))
    return pd.DataFrame(rows)


def _gains(asking: Asking, found: Said, begin: Said) -> Iterator[dict[str, Any]]:
    own, fact = (found.own - begin.own).tolist(), (found.fact - begin.fact).tolist()
    for contrast, answer, effect in zip(asking.contrasts, own, fact, strict=True):
        yield about(contrast) | {"answer": answer, "effect": effect}
