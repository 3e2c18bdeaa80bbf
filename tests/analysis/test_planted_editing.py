"""Edits of planted facts: the store takes them, and the other direction only where it is one."""

from dataclasses import replace

import pytest

from analysis.planted_tools.editing import edits
from interp_rc.models.planted.plan import SHAPES, At
from interp_rc.models.planted.plant import plant


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["mlp", "two_way", "two_stores", "decoy"])
def test_an_edit_is_as_wide_as_its_store(kind, shape):
    one = plant(kind, shape, 7)
    for order in one.store:
        found = edits(one, order)
        assert found.first
        assert found.discoveries == (2 if kind == "two_way" else 1)
        assert found.null_sites == (3 if kind == "two_way" else 4)
        assert found.false == 0
        assert found.largest_null < 1e-10


def test_claimed_to_be_one_store_two_are_not_moved_by_one_edit():
    """The check can fail: what is true of the one is false of the other."""
    two = plant("two_stores", "gpt2", 7)
    assert not edits(replace(two, kind="two_way"), "forward").first
    one = plant("two_way", "gpt2", 7)
    found = edits(replace(one, kind="two_stores"), "forward")
    assert found.false == 1
    assert found.largest_null > 1


def test_behind_what_brings_the_answer_no_edit_works():
    one = next(
        p
        for seed in range(50)
        if (p := plant("decoy", "llama", seed)).carriers["forward"][0].place.layer < 3
        and decoys(p) > p.carriers["forward"][0].place.layer
    )
    at = one.store["forward"]
    elsewhere = At(at.place._replace(layer=decoys(one)), at.span)
    assert not edits(replace(one, store={"forward": elsewhere}), "forward").first


def decoys(one):
    """The layer of the decoy's look-up: the one beside the store that has values."""
    layers = one.loaded.model.model.layers
    used = [n for n, layer in enumerate(layers) if layer.mlp.down_proj.weight.abs().sum() > 0]
    return next(n for n in used if n != one.store["forward"].place.layer)


def test_attention_has_no_store_to_edit():
    assert edits(plant("attention", "gpt2", 0), "forward") is None
