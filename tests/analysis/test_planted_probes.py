"""Probes find where a planted answer is written, first there, and nothing before."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.planted_tools.probes import judged, leads, linear_probe, mutual_leads, mutual_probe
from interp_rc.models.adapters.parts import Place
from interp_rc.models.planted.plan import KINDS, SHAPES, At
from interp_rc.models.planted.plant import plant


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_answer_is_found_first_where_it_is_written(kind, shape):
    one = plant(kind, shape, seed=1)
    for order in one.store:
        found = linear_probe(one, order)
        assert found.first
        assert found.discoveries > 0
        assert found.false == 0
        assert found.largest_null < 1e-9


def test_a_layer_at_which_nothing_is_written_does_not_come_first():
    """The check can fail: said to be carried elsewhere, the answer is not first found there."""
    one = plant("mlp", "gpt2", seed=2)
    true = one.carriers["forward"][0].place.layer
    for layer in set(range(4)) - {true}:
        at = At(Place("attn_out", layer), "prompt")
        found = linear_probe(replace(one, carriers={"forward": [at]}), "forward")
        assert not found.first
        assert (found.false > 0) == (layer > true)


@pytest.mark.parametrize("shape", SHAPES)
def test_entities_with_one_answer_know_of_each_other_from_the_look_up_on(shape):
    for seed in range(3):
        one = plant("two_way", shape, seed)
        assert mutual_probe(one, "backward") is None  # the same question
        found = mutual_probe(one, "forward")
        assert found.first
        assert found.discoveries > 0
        assert found.false <= 1


def test_of_two_stores_neither_entity_knows_of_the_other():
    """Both orders are answered, and yet A's and B's representations have nothing in common."""
    one = plant("two_stores", "llama", seed=0)
    assert mutual_probe(one, "forward") is None
    known = mutual_leads(plant("two_way", "llama", seed=0))
    nothing = mutual_leads(one)
    assert np.abs(nothing.mean(2)).max() < 0.3 * known.mean(2).max()
    assert judged(nothing, first=5).false == 0


def test_leads_by_hand():
    scores = np.array([[3.0, 1, 2], [0, 5, 1], [4, 4, 1]])
    np.testing.assert_allclose(leads(scores), [1.5, 4.5, -3])
