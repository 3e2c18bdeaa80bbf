"""The models that findings are compared with."""

import pytest
import torch

from interp_rc.measures.compared import untrained_like
from tests.engine.tiny import precise


@pytest.mark.parametrize("shape", ["llama", "gpt2", "bert"])
def test_untrained_models_are_of_the_same_kind_with_other_weights(shape, taught):
    loaded = precise(taught, shape)
    loaded.model.config.architectures = [type(loaded.model).__name__]  # as saved models say
    untrained = untrained_like(loaded, 0)
    assert type(untrained.model) is type(loaded.model)
    assert untrained.tokenizer is loaded.tokenizer
    assert not untrained.model.training
    pairs = zip(untrained.model.parameters(), loaded.model.parameters(), strict=True)
    assert any(not torch.allclose(one.double(), other.double()) for one, other in pairs)
    again = untrained_like(loaded, 0).model.state_dict()
    assert all(torch.equal(v, again[name]) for name, v in untrained.model.state_dict().items())
