"""Few sites that carry what all weights do: greedy sets, and sets at random beside them."""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from tqdm import tqdm

from interp_rc.measures.transplant.asking import Asking
from interp_rc.measures.transplant.pair import Pair
from interp_rc.measures.transplant.single import said
from interp_rc.records.seeds import generator
from interp_rc.tools.weights.sites import WeightSite

Procedure = Literal["forward", "backward"]
ENOUGH = 0.9  # of what all weights bring


class Selection(NamedTuple):
    """Sites in the order in which they were chosen; `effects[k]` is what the first k of them bring
    into the base, `whole` what all candidates do (mean `fact` of the contrasts, nat)."""

    sites: list[WeightSite]
    effects: list[float]
    whole: float


def forward_selection(
    pair: Pair, candidates: Sequence[WeightSite], asking: Asking, *, enough: float = ENOUGH
) -> Selection:
    """From the base: always the site that adds most, until the chosen ones bring `enough` of what
    all candidates bring.

    Greedy: a smaller set may exist. Chosen on these contrasts, so to be measured on others.
    """
    effect = _effect_of(pair, asking)
    chosen, left = list[WeightSite](), list(candidates)
    effects, whole = [0.0], effect(candidates)
    with tqdm(total=len(left), desc="sites added", disable=None) as bar:
        while left and effects[-1] < enough * whole:
            found = [effect([*chosen, site]) for site in left]
            best = max(range(len(left)), key=found.__getitem__)
            chosen.append(left.pop(best))
            effects.append(found[best])
            bar.update()
    return Selection(chosen, effects, whole)


def backward_elimination(
    pair: Pair, candidates: Sequence[WeightSite], asking: Asking, *, enough: float = ENOUGH
) -> Selection:
    """From all candidates: always the site that is missed least is put back to the base, as long as
    `enough` is left. What remains is given with the site that is missed most first.
    """
    effect = _effect_of(pair, asking)
    kept = list(candidates)
    whole = effect(kept)
    with tqdm(total=len(kept), desc="sites put back", disable=None) as bar:
        while True:
            without = {site: effect([one for one in kept if one != site]) for site in kept}
            least = max(kept, key=without.__getitem__, default=None)
            if least is None or without[least] < enough * whole:
                break
            kept.remove(least)
            bar.update()
    sites = sorted(kept, key=without.__getitem__)
    return Selection(sites, [effect(sites[:k]) for k in range(len(sites) + 1)], whole)


def at_random(candidates: Sequence[WeightSite], seed: int) -> list[WeightSite]:
    """All candidates in a random order, of which the first k are a set of k."""
    return generator(seed, "random sites").sample(list(candidates), len(candidates))


def as_large(
    pair: Pair, order: Sequence[WeightSite], sites: Sequence[WeightSite]
) -> list[WeightSite]:
    """As they come, sites that together have no more weights than `sites`, as many as fit in."""
    left, found = sum(pair.size(site) for site in sites), []
    for site in order:
        if pair.size(site) <= left:
            found.append(site)
            left -= pair.size(site)
    return found


def _effect_of(pair: Pair, asking: Asking) -> Callable[[Sequence[WeightSite]], float]:
    begin = said(pair, "given", (), asking).fact.mean()

    def effect(sites: Sequence[WeightSite]) -> float:
        return float(said(pair, "given", sites, asking).fact.mean() - begin)

    return effect
