"""Sets of sites that are chosen on half of the facts, measured on the other half."""

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
from tqdm import tqdm

from interp_rc.measures.transplant.asking import Asking
from interp_rc.measures.transplant.pair import Pair, changed
from interp_rc.measures.transplant.single import about, said
from interp_rc.measures.transplant.smallest import (
    as_large,
    at_random,
    backward_elimination,
    forward_selection,
)
from interp_rc.records.seeds import derive_seed
from interp_rc.tools.weights.sites import WeightSite, component_of, matrices, units

DRAWS = 5


def candidates(pair: Pair) -> list[WeightSite]:
    """Every matrix of the layers, and what lies outside them, as far as they were finetuned."""
    adapter = pair.adapter("given")
    outside = [site for site in units(adapter) if site.layer is None]
    return changed(pair, [*outside, *matrices(adapter)])


def sets_of_sites(
    pair: Pair, chosen_on: Asking, measured_on: Asking, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What the sets bring into the base, one row a set and contrast; and the sets, one row a site.

    `greedy` are the first k matrices of forward selection (and `last` the whole set), `units` the
    whole attentions, MLPs and embeddings that backward elimination leaves. `random` are k matrices
    at random, `as_large` such of as many weights together as the last greedy set, in so many
    `draw`s each. `answer` is the gain in the target's log-probability, `effect` the same less the
    gain after another fact's prompt [nat].
    """
    of_matrices, of_units = candidates(pair), changed(pair, units(pair.adapter("given")))
    greedy = forward_selection(pair, of_matrices, chosen_on).sites
    left = backward_elimination(pair, of_units, chosen_on).sites
    sets: list[tuple[str, int, list[WeightSite]]] = [("all", 0, of_matrices), ("units", 0, left)]
    sets += [("greedy", 0, greedy[:k]) for k in range(1, len(greedy) + 1)]
    for draw in range(DRAWS):
        order = at_random(of_matrices, derive_seed(seed, "sites", draw))
        sets += [("random", draw, order[:k]) for k in _grid(len(greedy), len(order))]
        sets.append(("as_large", draw, as_large(pair, order, greedy)))
    rows = _measured(pair, sets, measured_on)
    named = [
        {"set": kind, "place": place, "site": site.name, "layer": site.layer}
        | {"component": component_of(pair.adapter("given"), site)}
        | {"size": pair.size(site), "square": pair.square(site)}
        for kind, sites in (("all", of_matrices), ("greedy", greedy), ("units", left))
        for place, site in enumerate(sites, 1)
    ]
    table = pd.DataFrame(rows).assign(last=lambda t: (t.set == "greedy") & (t.k == len(greedy)))
    return table, pd.DataFrame(named).astype({"layer": "Int64"})


def _grid(chosen: int, most: int) -> list[int]:
    """1, 2, 4, … and as many as were chosen."""
    return sorted({2**i for i in range(most.bit_length()) if 2**i < most} | {chosen} - {0})


def _measured(
    pair: Pair, sets: Sequence[tuple[str, int, list[WeightSite]]], asking: Asking
) -> Iterator[dict[str, Any]]:
    begin = said(pair, "given", (), asking)
    for kind, draw, sites in tqdm(sets, desc="sets of sites", disable=None):
        found = said(pair, "given", sites, asking)
        own, fact = (found.own - begin.own).tolist(), (found.fact - begin.fact).tolist()
        which = {"set": kind, "draw": draw, "k": len(sites), "size": sum(map(pair.size, sites))}
        for contrast, answer, effect in zip(asking.contrasts, own, fact, strict=True):
            yield which | about(contrast) | {"answer": answer, "effect": effect}
