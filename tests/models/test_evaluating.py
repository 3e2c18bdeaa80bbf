"""Evaluation mode inside, each module's own mode after."""

import pytest
from torch import nn

from interp_rc.models.evaluating import evaluating


def test_every_module_evaluates_inside_and_goes_back_to_its_own_mode():
    model = nn.Sequential(nn.Dropout(0.5), nn.Sequential(nn.Dropout(0.5), nn.Linear(2, 2)))
    model.train()
    model[1][0].eval()  # a part that was frozen on purpose
    before = [module.training for module in model.modules()]
    with evaluating(model):
        assert not any(module.training for module in model.modules())
    assert [module.training for module in model.modules()] == before


def test_the_mode_comes_back_after_an_error():
    model = nn.Dropout(0.5).train()
    with pytest.raises(RuntimeError, match="inside"), evaluating(model):
        raise RuntimeError("inside")
    assert model.training
