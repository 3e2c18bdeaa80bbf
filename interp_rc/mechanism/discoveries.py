"""Which sites of a map have an effect, with the false discovery rate under control."""

import numpy as np
import pandas as pd

from interp_rc.models.adapters.parts import COMPONENTS
from interp_rc.records.numbers import Test
from interp_rc.stats.correction import benjamini_hochberg
from interp_rc.stats.differences import paired_t

RATE = 0.05
TIE = 0.01  # of the largest mean effect


def discoveries(table: pd.DataFrame, floor: float, name: str) -> list[Test]:
    """A test for each site: does its mean effect over facts exceed the noise `floor` (nats)?

    Two-sided t on the means of each fact, less the floor; Benjamini-Hochberg over the sites that
    could have an effect. Sites that the causal mask leaves none in any contrast are left out.
    """
    tests = []
    keys = ["site", "layer", "where"]
    for key, part in table.groupby(keys, sort=False):
        if part.structural_zero.all():
            continue
        effects = part.groupby("fact").effect.mean().to_numpy(float)
        if len(effects) > 1:
            tests.append(beyond_floor(effects, floor, ".".join([name, *map(str, key)])))
    return benjamini_hochberg(tests)


def beyond_floor(effects: np.ndarray, floor: float, name: str) -> Test:
    """Whether the mean is further from zero than the floor; p = 1 where it is not, and 0 where all
    facts have the same effect beyond it."""
    side = float(np.sign(effects.mean()))
    if abs(effects.mean()) <= floor:
        return Test(name, "t beyond the noise floor", 0.0, 1.0, None, None, floor, len(effects))
    found = paired_t(side * effects, np.full(len(effects), floor), name=name)
    p = 0.0 if found.p is None else found.p
    return Test(name, "t beyond the noise floor", found.statistic, p, None, None, floor, found.n)


def is_discovery(test: Test) -> bool:
    return test.p_adjusted is not None and test.p_adjusted <= RATE


def first_place(table: pd.DataFrame) -> tuple[str, int, str]:
    """Component, layer and `where` of the site with the largest mean effect over facts.

    What a site restores, every later site on the only path restores as well: of those within 1 %
    of the largest, the one that is computed first is meant.
    """
    keys = ["layer", "site", "where"]
    means = table.groupby(["fact", *keys]).effect.mean().groupby(keys).mean()
    best = means[means >= means.max() - TIE * abs(means.max())].index
    layer, component, where = min(best, key=lambda key: (key[0], COMPONENTS.index(key[1])))
    return component, int(layer), where
