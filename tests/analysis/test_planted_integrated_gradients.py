"""Integrated gradients find the store and the hand-over, and nothing at null sites."""

from dataclasses import replace

import pytest

from analysis.planted_tools.integrated_gradients import tool
from interp_rc.models.adapters.parts import Place
from interp_rc.models.planted.plan import KINDS, At
from interp_rc.models.planted.plant import plant


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", ["gpt2", "llama"])
def test_the_planted_place_comes_first_and_null_sites_stay_silent(kind, shape):
    """A decoy head may put the carrier before the store, through the norms (see the table)."""
    one = plant(kind, shape, 1)
    for order in list(one.store)[:1]:
        found = tool(one, order)
        assert found.first
        assert found.false == 0
        assert found.null_sites > 10
        assert found.discoveries >= 5
        assert found.largest_null < 1e-6


def test_what_was_not_planted_does_not_come_first():
    """The check can fail: by another store, and by another layer of the head that carries."""
    one = plant("mlp", "gpt2", 0)
    store, [carrier] = one.store["forward"], one.carriers["forward"]
    layer = (store.place.layer + 1) % 4
    elsewhere = At(Place("mlp_out", layer), "source")
    assert not tool(replace(one, store={"forward": elsewhere}), "forward").first
    later = At(Place("attn_out", (carrier.place.layer + 1) % 4), "prompt")
    assert not tool(replace(one, carriers={"forward": [later]}), "forward").first


def test_a_site_that_carries_is_called():
    """Claimed to be null, the store counts as false."""
    one = plant("two_stores", "llama", 0)
    null = [*one.null["backward"], one.store["backward"]]
    assert tool(replace(one, null={"backward": null}), "backward").false == 1
