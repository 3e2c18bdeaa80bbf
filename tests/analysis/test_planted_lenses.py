"""Lens, attribution, attention and its knockout find what was planted, and nothing else."""

from dataclasses import replace

import pytest

from analysis.planted_tools import attention, attention_cut, logit_attribution, logit_lens
from interp_rc.models.planted.plan import KINDS, LAYERS, SHAPES, At
from interp_rc.models.planted.plant import plant

TOOLS = (logit_attribution, logit_lens, attention, attention_cut)


@pytest.fixture(scope="module")
def planted():
    return [plant(kind, SHAPES[n % 2], 5) for n, kind in enumerate([*KINDS, "decoy"])]


@pytest.mark.slow
@pytest.mark.parametrize("tool", TOOLS)
def test_the_planted_place_comes_first_and_null_sites_stay_silent(planted, tool):
    for one in planted:
        for order in one.store:
            found = tool.find(one, order)
            assert found.first, (one.kind, order)
            assert found.discoveries > 0
            assert found.false == 0
            assert found.null_sites > 0 or tool is logit_lens
            assert found.largest_null < 1e-5


@pytest.mark.parametrize("tool", [logit_attribution, logit_lens, attention_cut])
def test_a_place_that_was_not_planted_does_not_come_first(planted, tool):
    """The check can fail: claimed in another layer, what writes the answer is not found there."""
    one = next(p for p in planted if p.kind == "mlp")
    [true] = one.carriers["forward"]
    for layer in set(range(LAYERS)) - {true.place.layer}:
        elsewhere = At(true.place._replace(layer=layer), true.span)
        found = tool.find(replace(one, carriers={"forward": [elsewhere]}), "forward")
        assert not found.first
    if tool is logit_attribution:
        assert found.false == 1  # the true one


def test_attention_cannot_tell_a_decoy_from_the_carrier_and_attribution_can(planted):
    one = next(p for p in planted if p.kind == "decoy")
    written = attention.written_heads(logit_attribution.rounded(one))
    assert len(written) == 2
    assert attention.find(one, "forward").discoveries == 2
    assert logit_attribution.find(one, "forward").discoveries == 1


def test_heads_without_weights_are_null_but_the_written_one(planted, monkeypatch):
    """The check can fail: with no head known to be written, the looking one is called falsely."""
    monkeypatch.setattr(attention, "written_heads", lambda model: [(0, 0)])
    one = next(p for p in planted if p.kind == "two_stores")
    found = attention.find(one, "backward")
    assert found.false == 1
    assert not found.first
