"""The mean of each site, as the command prints it."""

import math

import pandas as pd
import pytest

from interp_rc.engine.effects import COLUMNS, Effects
from interp_rc.pipeline import effect_files
from interp_rc.pipeline.effect_files import in_bytes, summary
from interp_rc.records.errors import ConfigError

PLACES = [
    ({"site": "z", "head": 3, "position": 4}, 1.0, "z.1.h3@4"),
    ({"site": "z", "head": 0, "position": 4}, 2.0, "z.1.h0@4"),
    ({"site": "mlp_out", "window": 5, "span": "A", "token": "last"}, 3.0, "mlp_out.1x5@A.last"),
    ({"site": "mlp_post", "neuron": 7, "position": 4}, 4.0, "mlp_post.1.n7@4"),
    ({"site": "gpt_neox.layers.1.mlp", "position": 4}, 6.0, "gpt_neox.layers.1.mlp@4"),
    ({"site": "resid_pre", "neuron": 7, "position": 4}, 5.0, "resid_pre.1.d7@4"),
]


def test_each_site_by_its_name_without_an_order_too():
    facts = (("f", 1.0, "1"), ("f", 3.0, "2"), ("g", 6.0, "3"))
    rows = [
        {"pair": pair, "fact": fact, "layer": 1, "effect": shift + effect, "metric": "log_prob",
         "structural_zero": False, "window": 1} | place
        for fact, effect, pair in facts
        for place, shift, _ in PLACES
    ]  # fmt: skip
    table = pd.DataFrame(rows).reindex(columns=[*COLUMNS, "window"]).astype({"position": "Int64"})
    baselines = pd.DataFrame(
        {"pair": ["1", "2", "3"], "clean": [0.0, 1.0, 2.0], "corrupted": [-9.0, -9.0, -9.0]}
    )
    found = summary(Effects(table, baselines))
    assert found.site.tolist() == [name for _, _, name in PLACES]
    assert found.facts.tolist() == [2] * len(PLACES)
    texts = [f"{4 + shift:.2f} nat [" for _, shift, _ in PLACES]
    assert [text[: len(known)] for text, known in zip(found.effect, texts, strict=True)] == texts
    assert found.attrs == {"left_out": 0}
    assert found.columns.tolist() == ["site", "effect", "facts"]


def test_of_many_sites_the_largest_are_told_of_in_order(monkeypatch):
    monkeypatch.setattr(effect_files, "MOST", 2)
    rows = [
        {"pair": "1", "fact": "f", "site": "mlp_out", "layer": layer, "position": 0,
         "effect": effect, "metric": "probability", "structural_zero": False}
        for layer, effect in enumerate([0.1, -0.3, 0.0, 0.2])
    ]  # fmt: skip
    table = pd.DataFrame(rows).reindex(columns=COLUMNS).astype({"position": "Int64"})
    baselines = pd.DataFrame({"pair": ["1"], "clean": [0.5], "corrupted": [0.0]})
    found = summary(Effects(table, baselines))
    assert found.site.tolist() == ["mlp_out.1@0", "mlp_out.3@0"]
    assert found.effect.tolist() == ["-0.3000 probability", "0.2000 probability"]
    assert found.attrs == {"left_out": 2}


def test_memory_in_bytes():
    assert in_bytes(None) is None
    assert in_bytes(0.5) == 2**29
    for gib in (0, -1, math.inf, math.nan, 1e300):
        with pytest.raises(ConfigError, match="give GiB above 0"):
            in_bytes(gib)
