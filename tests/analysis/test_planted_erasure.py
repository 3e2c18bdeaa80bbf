"""Erasure says of planted models whether they have one store or two, whatever decoys say."""

from dataclasses import replace

import pandas as pd
import pytest

from analysis import planted_erasure
from analysis.planted_erasure import add_decoys, erased, summary
from interp_rc.measures.erasure.verdict import together
from interp_rc.models.build import build_model
from interp_rc.models.load import Loaded
from interp_rc.models.planted.plan import make_plan
from interp_rc.models.planted.plant import planted

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def rows():
    found = []
    for kind, decoys, shape in (("two_way", False, "gpt2"), ("two_stores", True, "llama")):
        plan = make_plan(kind, 7)
        if decoys:
            add_decoys(plan, kind, 7)
        key = {"kind": kind, "decoys": decoys, "shape": shape, "seed": 7}
        found += [key | row for row in erased(planted(plan, kind, shape, 7))]
    return pd.DataFrame(found)


def test_one_store_is_told_from_two(rows):
    found = summary(rows)
    assert (found.right == 1).all()
    assert (found.wrong == 0).all()
    one = found[found.kind == "two_way"]
    assert one.ratio_least.min() > 0.9
    assert found[found.kind == "two_stores"].ratio_most.max() < 0.1
    assert found.control_least.min() > 0.9


def test_a_model_that_knows_nothing_has_neither():
    """The same facts asked of random weights: nothing to erase, and nothing said about stores."""
    one = planted(make_plan("two_way", 7), "two_way", "gpt2", 7)
    model = build_model(one.loaded.model.config, seed=1).eval()
    rows = pd.DataFrame(erased(replace(one, loaded=Loaded(model, one.loaded.tokenizer))))
    assert len(rows) == 6
    assert set(rows.verdict) == {"inconclusive"}
    assert together([*rows.verdict]) == "inconclusive"


def test_the_summary_can_say_wrong(rows, monkeypatch):
    other = {"two_way": "two stores", "two_stores": "one store"}
    monkeypatch.setattr(planted_erasure, "TRUTH", other)
    found = summary(rows)
    assert (found.right == 0).all()
    assert (found.wrong == 1).all()


def test_decoys_are_read_by_nothing_and_fire_for_whom_they_should():
    for kind, of_decoys in (("two_way", 2), ("two_stores", 1)):
        plan, bare = make_plan(kind, 3), make_plan(kind, 3)
        add_decoys(plan, kind, 3)
        decoys = plan.lookups[len(bare.lookups) :]
        assert len(decoys) == of_decoys
        read = {dim for mover in plan.movers for dim in mover.reads}
        assert not read & {dim for one in decoys for dim in one.writes}
        assert {len(keys) for one in decoys for keys in one.reads} == {3 - of_decoys}
        assert not {one.layer for one in decoys} & {one.layer for one in bare.lookups}
