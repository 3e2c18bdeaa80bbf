"""What the tables of probes and of patching come to."""

import numpy as np
import pandas as pd

from interp_rc.records.numbers import Estimate
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.intervals import RATE, bootstrap_mean, t_mean
from interp_rc.stats.ratios import ratio_of_means
from interp_rc.stats.strata import mean_of_strata

NAME = "symmetry_where"
CALLED = {"true": "held_out", "looked_up": "looked_up"}


def balanced(rows: pd.DataFrame) -> Estimate:
    """Of one value a relation: both classes count the same, and the unit is the relation."""
    values = (part.value.to_numpy(float) for _, part in rows.groupby("symmetric"))
    return mean_of_strata([t_mean(of_class, RATE) for of_class in values])


def probe_estimates(table: pd.DataFrame) -> dict[str, Estimate]:
    """By encoder, place and layer: relations left out, looked up, and left out with permuted
    classes, whose limits are those of 95 % of the draws (n of them) rather than of their mean."""
    found = {}
    for (encoder, span, layer), part in table.groupby(["encoder", "span", "layer"], sort=False):
        place = f"{NAME}.probe.{encoder}.{span}.layer_{layer}"
        for labels, name in CALLED.items():
            found[f"{place}.{name}"] = balanced(part[part.labels == labels])
        chance = part[part.labels == "permuted"]
        by_class = chance.groupby(["draw", "symmetric"])["value"].mean()
        draws = by_class.groupby("draw").mean().to_numpy(float)
        low, high = np.quantile(draws, [0.025, 0.975])
        found[f"{place}.permuted"] = Estimate(
            float(draws.mean()), float(low), float(high), len(draws), RATE
        )
    return found


def patching_estimates(table: pd.DataFrame, seed: int) -> dict[str, Estimate]:
    """By place and layer: the share of the head's difference that is recovered. The unit is the
    couple of relations; entities are averaged over. Null where the difference is none."""
    found = {}
    keys = ["relation", "other"]
    ends = table.drop_duplicates("pair").assign(whole=lambda t: t.clean - t.corrupted)
    whole = ends.groupby(keys).whole.mean().to_numpy(float)
    name = f"{NAME}.patching.total"
    found[name] = bootstrap_mean(whole, "logit", seed=derive_seed(seed, name))
    if len(whole) < 2:
        return found
    for (span, layer), part in table.groupby(["span", "layer"], sort=False):
        effect = part.groupby(keys).effect.mean().to_numpy(float)
        name = f"{NAME}.patching.{str(span).replace('.', '_')}.layer_{layer}.recovered"
        found[name] = ratio_of_means(effect, whole, seed=derive_seed(seed, name))
    return found


def accuracy(right: pd.DataFrame) -> Estimate:
    """Of the retrained head on test pairs, by relation (columns `relation`, `symmetric`, `right`):
    whether there is anything to look for."""
    rates = right.groupby(["relation", "symmetric"])["right"].mean()
    return balanced(rates.rename("value").reset_index())
