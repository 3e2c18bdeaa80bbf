"""The update readout finds the planted weights, whatever else was changed beside them."""

import pytest

from analysis.planted_tools.update_geometry import find
from interp_rc.models.planted.plan import KINDS, SHAPES
from interp_rc.models.planted.plant import plant


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_planted_weights_are_read_out_and_no_others(kind, shape):
    one = plant(kind, shape, seed=1)
    for order in one.store:
        found = find(one, order)
        assert found.first
        assert found.null_sites == 10
        assert found.false == 0
        assert found.largest_null < 1e-6
