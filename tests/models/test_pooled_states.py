"""Mean-pooled states, against one text at a time through the model's own output."""

import pytest
import torch

from interp_rc.models.pooled_states import pooled_states

TEXTS = ["Who is there?", "What does the long-legged heron of the marshes eat for supper?", "Why?"]


@pytest.mark.parametrize("shape", ["llama", "gpt2"])
def test_padding_changes_nothing(taught, shape):
    loaded = taught[shape]
    found = pooled_states(loaded, TEXTS)
    for text, pooled in zip(TEXTS, found, strict=True):
        ids = loaded.tokenizer(text, return_tensors="pt").input_ids
        with torch.no_grad():
            states = loaded.model(ids, output_hidden_states=True).hidden_states[-1]
        assert torch.allclose(pooled, states[0].mean(0), atol=1e-5)
    assert torch.allclose(found, pooled_states(loaded, TEXTS, batch_size=1), atol=1e-5)
