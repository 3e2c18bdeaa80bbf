"""The mean over facts of ranks' correlation."""

import numpy as np
import pandas as pd
import pytest

from interp_rc.engine.effects import Effects
from interp_rc.engine.sites import Site
from interp_rc.records.errors import DataError
from interp_rc.tools.attribution.attribution import attribute
from interp_rc.tools.attribution.rank_correlation import rank_correlation
from interp_rc.tools.patching.patching import patch


def plain(approximate, exact):
    """Pearson's correlation of ranks, by hand."""
    per_fact = {}
    for fact in exact.fact.unique():
        found = []
        for order in exact.order.unique():
            of = (exact.fact == fact) & (exact.order == order)
            maps = []
            for table in (approximate, exact):
                values = {}
                for (_, row), zero in zip(
                    table[of].iterrows(), exact[of].structural_zero, strict=True
                ):
                    if not zero:
                        site = (row.site, row.layer, row.span, row.token)
                        values.setdefault(site, []).append(row.effect)
                maps.append(np.array([np.mean(values[site]) for site in sorted(values)]))
            ranks = [pd.Series(one).rank().to_numpy() for one in maps]
            found.append(np.corrcoef(*ranks)[0, 1])
        per_fact[fact] = np.mean(found)
    return np.mean(list(per_fact.values()))


def test_of_attribution_and_patching(taught, contrasts):
    sites = [
        Site(component, layer, span, "all")
        for component in ("attn_out", "mlp_out", "resid_post")
        for layer in (0, 1)
        for span in ("source", "prompt")
    ]
    approximate = attribute(taught["llama"], contrasts, sites)
    exact = patch(taught["llama"], contrasts, sites)
    found = rank_correlation(approximate, exact)
    assert found.unit == "correlation"
    assert found.n == len({c.fact for c in contrasts})
    assert found.value == pytest.approx(plain(approximate.table, exact.table), abs=1e-12)
    assert 0 < found.low < found.value < found.high
    shuffled = Effects(approximate.table.sample(frac=1, random_state=0), approximate.baselines)
    assert rank_correlation(shuffled, exact).value == found.value


def test_of_one_map_with_itself_and_its_opposite(taught, contrasts):
    sites = [Site(c, 0, "source", "all") for c in ("attn_out", "mlp_out", "resid_post")]
    exact = patch(taught["gpt2"], contrasts, sites)
    assert rank_correlation(exact, exact).value == 1
    opposite = Effects(exact.table.assign(effect=-exact.table.effect), exact.baselines)
    assert rank_correlation(opposite, exact).value == -1


def test_refused(taught, contrasts):
    one = patch(taught["gpt2"], contrasts, [Site("mlp_out", 0, "source", "all")])
    other = patch(taught["gpt2"], contrasts, [Site("mlp_out", 1, "source", "all")])
    with pytest.raises(DataError, match="other sites or contrasts"):
        rank_correlation(one, other)
    two = patch(taught["gpt2"], contrasts[:4], [Site("mlp_out", n, "source") for n in (0, 1)])
    for few in (one, two):  # the correlation of two is 1 or -1, whatever they are
        with pytest.raises(DataError, match="no fact has three sites"):
            rank_correlation(few, few)
