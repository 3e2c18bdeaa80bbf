"""What probes of every kind have in common: what is sought, shuffled labels, layers."""

import numpy as np
import pandas as pd

from interp_rc.records.nouns import Order, Subset
from interp_rc.records.numbers import Estimate
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.intervals import bootstrap_mean

# What is looked for where the prompt of that order names the other.
SOUGHT: dict[Order, str] = {"forward": "object", "backward": "subject"}


def shuffled(groups: list[Subset], seed: int) -> np.ndarray:
    """Each fact with the label of a random one of its subset."""
    names, labels = np.array(groups), np.arange(len(groups))
    generator = np.random.default_rng(seed)
    for name in sorted(set(groups)):
        mine = np.flatnonzero(names == name)
        labels[mine] = generator.permutation(mine)
    return labels


def by_layer(
    rows: pd.DataFrame, name: str, keys: list[str], columns: dict[str, str], seed: int
) -> dict[str, Estimate]:
    """Of a model's `rows`, layer by layer: the share of facts that are right, by `keys`, for each
    label of `columns`, which say what is right; a column that is null somewhere is left out."""
    found = {}
    use = derive_seed(seed, "report", name)
    for key, part in rows.groupby([*keys, "layer"], sort=False):
        *place, layer = map(str, key)
        for label, column in columns.items():
            values = part[column].to_numpy(float)
            if np.isfinite(values).all():
                full = ".".join([name, "finetuned", *place, f"layer_{layer}", label])
                found[full] = bootstrap_mean(values, "fraction", seed=use)
    return found
