"""What probes of every kind have in common: what is sought, shuffled labels, layers."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from interp_rc.records.estimates import Estimates
from interp_rc.records.nouns import Group, Order
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.intervals import bootstrap_mean

# What is looked for where the prompt of that order names the other.
SOUGHT: dict[Order, str] = {"forward": "object", "backward": "subject"}


def shuffled(groups: list[Group], seed: int) -> np.ndarray:
    """Each fact with the label of a random one of its group."""
    names, labels = np.array(groups), np.arange(len(groups))
    generator = np.random.default_rng(seed)
    for name in sorted(set(groups)):
        mine = np.flatnonzero(names == name)
        labels[mine] = generator.permutation(mine)
    return labels


def by_layer(
    rows: pd.DataFrame, name: str, axes: Mapping[str, str], columns: Mapping[str, str], seed: int
) -> Estimates:
    """Of a model's `rows`, layer by layer: the share of facts that are right, for each quantity of
    `columns`, which says what is right; a column that is null somewhere is left out. `axes` names
    the columns that are told apart."""
    found = Estimates(name)
    use = derive_seed(seed, "report", name)
    for key, part in rows.groupby([*axes.values(), "layer"], sort=False):
        of = dict(zip([*axes, "layer"], key, strict=True))
        for quantity, column in columns.items():
            values = part[column].to_numpy(float)
            if np.isfinite(values).all():
                estimate = bootstrap_mean(values, "fraction", seed=use)
                found.add(estimate, model="finetuned", **of, quantity=quantity)
    return found
