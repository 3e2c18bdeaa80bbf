"""Which sites of a map have an effect, with the false discovery rate under control."""

import pandas as pd

from interp_rc.engine.effect_estimates import FALSE_DISCOVERY_RATE, beyond_floor
from interp_rc.models.adapters.parts import COMPONENTS
from interp_rc.records.estimates import Estimates
from interp_rc.records.numbers import Test
from interp_rc.stats.correction import benjamini_hochberg

TIE = 0.01  # of the largest mean effect


def discoveries(table: pd.DataFrame, floor: float, name: str) -> list[Test]:
    """A test for each site: does its mean effect over facts exceed the noise `floor` (nats)?

    Two-sided t on the means of each fact, less the floor; Benjamini-Hochberg over the sites that
    could have an effect. Sites that the causal mask leaves none in any contrast are left out.
    """
    tests, names = [], Estimates(name)
    for key, part in table.groupby(["site", "layer", "place"], sort=False):
        if part.structural_zero.all():
            continue
        effects = part.groupby("fact").effect.mean().to_numpy(float)
        if len(effects) > 1:
            component, layer, place = key
            at = names.name(component=component, layer=layer, place=place)
            tests.append(beyond_floor(effects, floor, at))
    return benjamini_hochberg(tests)


def is_discovery(test: Test) -> bool:
    return test.p_adjusted is not None and test.p_adjusted <= FALSE_DISCOVERY_RATE


def first_place(table: pd.DataFrame) -> tuple[str, int, str]:
    """Component, layer and place of the site with the largest mean effect over facts.

    What a site restores, every later site on the only path restores as well: of those within 1 %
    of the largest, the one that is computed first is meant.
    """
    keys = ["layer", "site", "place"]
    means = table.groupby(["fact", *keys]).effect.mean().groupby(keys).mean()
    best = means[means >= means.max() - TIE * abs(means.max())].index
    layer, component, place = min(best, key=lambda key: (key[0], COMPONENTS.index(key[1])))
    return component, int(layer), place
