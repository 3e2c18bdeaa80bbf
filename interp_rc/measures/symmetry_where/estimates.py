"""What the tables of probes and of patching come to."""

import numpy as np
import pandas as pd

from interp_rc.records.estimates import Estimates
from interp_rc.records.numbers import Estimate
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.intervals import RATE, t_mean
from interp_rc.stats.means import add_mean
from interp_rc.stats.ratios import ratio_of_means
from interp_rc.stats.strata import mean_of_strata

NAME = "symmetry_where"
TESTED = "relation"
"""The place, after the last layer: chosen beforehand."""
CALLED = {"true": "held_out", "looked_up": "looked_up"}


def name_of_test(encoder: str, layers: int) -> str:
    """Whether the class of relations left out is found there, after the last of the layers."""
    of = {"part": "probe", "model": encoder, "place": TESTED, "layer": layers}
    return Estimates(NAME).name(**of, quantity="held_out")


def balanced(rows: pd.DataFrame) -> Estimate:
    """Of one value a relation: both classes count the same, and the unit is the relation."""
    values = (part.value.to_numpy(float) for _, part in rows.groupby("symmetric"))
    return mean_of_strata([t_mean(of_class, RATE) for of_class in values])


def probe_estimates(table: pd.DataFrame) -> Estimates:
    """By encoder, place and layer: relations left out, looked up, and left out with permuted
    classes, whose limits are those of 95 % of the draws (n of them) rather than of their mean."""
    found = Estimates(NAME)
    keys = ["encoder", "place", "layer"]
    for (encoder, place, layer), part in table.groupby(keys, sort=False):
        of = {"part": "probe", "model": encoder, "place": place, "layer": layer}
        for labels, quantity in CALLED.items():
            found.add(balanced(part[part.labels == labels]), **of, quantity=quantity)
        chance = part[part.labels == "permuted"]
        by_class = chance.groupby(["draw", "symmetric"])["value"].mean()
        draws = by_class.groupby("draw").mean().to_numpy(float)
        low, high = map(float, np.quantile(draws, [0.025, 0.975]))
        permuted = Estimate(float(draws.mean()), low, high, len(draws), RATE)
        found.add(permuted, **of, quantity="permuted")
    return found


def patching_estimates(table: pd.DataFrame, seed: int) -> Estimates:
    """By place and layer: the share of the head's difference that is recovered. The unit is the
    couple of relations; entities are averaged over. Null where the difference is none."""
    found = Estimates(NAME)
    keys = ["relation", "other"]
    ends = table.drop_duplicates("pair").assign(whole=lambda t: t.clean - t.corrupted)
    whole = ends.groupby(keys).whole.mean().to_numpy(float)
    add_mean(found, whole, "logit", seed, part="patching", quantity="total")
    if len(whole) < 2:
        return found
    for (place, layer), part in table.groupby(["place", "layer"], sort=False):
        effect = part.groupby(keys).effect.mean().to_numpy(float)
        of = {"part": "patching", "place": place, "layer": layer, "quantity": "recovered"}
        use = derive_seed(seed, found.name(**of))
        found.add(ratio_of_means(effect, whole, seed=use), **of)
    return found


def accuracy(right: pd.DataFrame) -> Estimate:
    """Of the retrained head on test pairs, by relation (columns `relation`, `symmetric`, `right`):
    whether there is anything to look for."""
    rates = right.groupby(["relation", "symmetric"])["right"].mean()
    return balanced(rates.rename("value").reset_index())
