"""How well one map of effects orders the sites as another does."""

import numpy as np
from scipy.stats import spearmanr

from interp_rc.engine.effect_places import KEYS, with_place
from interp_rc.engine.effects import Effects
from interp_rc.records.errors import DataError
from interp_rc.records.numbers import Estimate
from interp_rc.stats.intervals import bootstrap_mean

SITE = [key for key in KEYS if key != "order"]


def rank_correlation(approximate: Effects, exact: Effects, *, seed: int = 0) -> Estimate:
    """Spearman's correlation of the two over the sites of a fact's map; mean over facts.

    A fact's contrasts are averaged first, orders are maps of their own, and sites without a
    possible effect are left out. `n` counts the facts with a correlation: those with three
    sites or more that are not all equal: two are always in the same order or in the other.

    Raises DataError if the two are not about the same sites of the same contrasts, or no fact has
    a correlation.
    """
    both = []
    for effects in (approximate, exact):
        rows = with_place(effects.table)
        rows["order"] = rows["order"].astype(object).where(rows["order"].notna(), "")
        both.append(rows.set_index(["pair", "fact", "order", *SITE]).sort_index())
    one, other = both
    if not one.index.equals(other.index):
        raise DataError(
            "the two effects are of other sites or contrasts; give the same ones, in the same "
            "metric, to both tools"
        )
    other = other.assign(approximate=one.effect.to_numpy())[~other.structural_zero].reset_index()
    sites = other.groupby(["fact", "order", *SITE], dropna=False)[["approximate", "effect"]].mean()
    found: dict[str, list[float]] = {}
    for (fact, _), part in sites.groupby(["fact", "order"]):
        if len(part) > 2 and part.nunique().min() > 1:
            rank = spearmanr(part.approximate, part.effect).statistic
            found.setdefault(str(fact), []).append(float(rank))
    if not found:
        raise DataError(
            "no fact has three sites with different effects, so no order to compare; give more"
        )
    means = np.array([np.mean(ranks) for ranks in found.values()])
    return bootstrap_mean(means, "correlation", seed=seed)
