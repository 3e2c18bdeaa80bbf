"""Patching finds what was planted, and the committed table says so of a hundred of each kind."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.descriptions import TABLES
from analysis.old_names import read_table
from analysis.planted import found, planted_rows, summary
from interp_rc.engine.effect_estimates import FALSE_DISCOVERY_RATE
from interp_rc.models.planted.plan import KINDS, SHAPES
from interp_rc.models.planted.plant import plant
from interp_rc.tools.patching.discoveries import first_place


@pytest.mark.slow
def test_the_planted_place_comes_first_and_null_sites_stay_silent():
    rows = pd.DataFrame(planted_rows(2))
    table = summary(rows)
    assert Counter(rows.kind) == {k: 8 if k.startswith("two") else 4 for k in [*KINDS, "trained"]}
    assert table["first"].min() == 1
    assert table.recovered_least.min() > 0.9
    assert table.false_discovery_rate.max() <= FALSE_DISCOVERY_RATE
    assert (rows.discoveries >= 1).all()


def test_a_place_that_was_not_planted_does_not_come_first():
    """The check can fail: claimed elsewhere, the store is not found there."""
    one = plant("mlp", "llama", 0)
    for at in one.null["forward"][::5]:
        assert not found(replace(one, store={"forward": at}), "forward")["first"]


def test_of_equal_places_the_earliest_is_meant():
    rows = [
        ("attn_out", 2, "prompt", 5.0),
        ("mlp_out", 1, "source", 4.97),
        ("mlp_out", 2, "source", 5.0),
        ("attn_out", 1, "source", 4.0),
        ("mlp_out", 0, "source", 1.0),
    ]
    table = pd.DataFrame(rows, columns=["site", "layer", "place", "effect"]).assign(fact="f")
    assert first_place(table) == ("mlp_out", 1, "source")
    assert first_place(table[table.layer == 2]) == ("attn_out", 2, "prompt")


def test_the_committed_table():
    table = read_table(TABLES / "planted.csv")
    expected = {(kind, shape) for kind in [*KINDS, "trained"] for shape in SHAPES}
    assert set(zip(table.kind, table["shape"], strict=True)) == expected
    assert (table.plantings >= 100).all()
    assert np.isfinite(table["first"]).all()
