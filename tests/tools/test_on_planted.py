"""Gradients tell a store that serves both orders from two that serve one each."""

import pytest

from interp_rc.engine.inputs import read_inputs
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.load import Loaded
from interp_rc.models.planted.plan import SHAPES
from interp_rc.models.planted.plant import plant
from interp_rc.tools.gradients.parameter_groups import ALL, cosines, parameters_of


def matched_less_mismatched(kind, shape, seed):
    """Of the neurons' output weights: cosine of both orders, same fact less other facts."""
    one = plant(kind, shape, seed)
    model = Loaded(one.loaded.model.float(), one.loaded.tokenizer)
    forward = {c.fact: c for c in one.contrasts["forward"]}
    backward = {c.fact: c for c in one.contrasts["backward"]}
    facts = sorted(forward)
    here, there = (
        read_inputs(model, [side[f].clean for f in facts], [side[f].target for f in facts])
        for side in (forward, backward)
    )
    layer = one.store["forward"].place.layer
    with parameters_of(model.model, Adapter(model.model).parts) as parameters:
        found = cosines(model.model, parameters, here, there)
    [matrix] = [m for group, m in found.items() if (group.name, group.layer) == ("mlp", layer)]
    assert ALL in found
    n = len(facts)
    mismatched = (matrix.sum() - matrix.diagonal().sum()) / (n * (n - 1))
    return (matrix.diagonal().mean() - mismatched).item()


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_one_store_for_both_orders_has_gradients_that_are_alike(shape):
    for seed in range(2):
        shared = matched_less_mismatched("two_way", shape, seed)
        apart = matched_less_mismatched("two_stores", shape, seed)
        assert shared > 0.5
        assert abs(apart) < 0.01
