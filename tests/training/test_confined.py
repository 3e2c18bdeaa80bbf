"""What is learnt where only one module may learn."""

import math
from typing import Literal

import pytest
import torch

from interp_rc.models.adapters.adapter import Adapter, Edit
from interp_rc.models.adapters.parts import Place
from interp_rc.models.planted.plan import Planted
from interp_rc.models.scoring import score
from interp_rc.records.errors import ModelError
from interp_rc.training.confined import confine, teach, untaught

OUTPUTS = [Place(c, layer) for layer in range(4) for c in ("attn_out", "mlp_out")]


def recoveries(planted: Planted) -> dict[Place, float]:
    """Mean share of the clean log-probability that each output at the entity brings back."""
    model, tokenizer = planted.loaded
    adapter = Adapter(model)
    listed = planted.contrasts["forward"][::3]
    total = dict.fromkeys(OUTPUTS, 0.0)
    with torch.no_grad(), adapter.hooked():
        for contrast in listed:
            clean, corrupted = (
                torch.tensor([tokenizer(text).input_ids])
                for text in (contrast.clean, contrast.corrupted)
            )
            target = tokenizer.convert_tokens_to_ids(contrast.target.strip())
            top, found = adapter.run(clean, capture=OUTPUTS)
            bottom, _ = adapter.run(corrupted)
            high, low = (x[0, -1].log_softmax(-1)[target] for x in (top, bottom))
            for place in OUTPUTS:
                last = torch.tensor([corrupted.shape[1] - 1])
                edit = Edit(torch.tensor([0]), last, found[place][:, -1])
                logits, _ = adapter.run(corrupted, edits={place: edit})
                share = (logits[0, -1].log_softmax(-1)[target] - low) / (high - low)
                total[place] += float(share) / len(listed)
    return total


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "place"), [("llama", Place("mlp_out", 1)), ("gpt2", Place("attn_out", 2))]
)
def test_one_module_learns_the_facts_and_nothing_else_changes(
    shape: Literal["gpt2", "llama"], place: Place
) -> None:
    before = untaught(shape, 0).model.state_dict()
    planted = teach(untaught(shape, 0), place, 0)
    listed = planted.contrasts["forward"]
    prompts, targets = [c.clean for c in listed], [c.target for c in listed]
    found = score(*planted.loaded, prompts, targets)
    assert found.greedy.all()
    assert found.log_prob.min() > math.log(0.9)
    unknown = score(*untaught(shape, 0), prompts, targets)
    assert unknown.log_prob.mean() < math.log(0.3)
    after = planted.loaded.model.state_dict()
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    inside = {
        ("gpt2", "attn_out"): "transformer.h.2.attn.",
        ("llama", "mlp_out"): "model.layers.1.mlp.",
    }[shape, place.component]
    assert changed
    assert all(key.startswith(inside) for key in changed)
    swapped = recoveries(planted)
    assert max(swapped, key=lambda p: swapped[p]) == place


def test_a_place_that_no_module_writes_is_refused() -> None:
    with pytest.raises(ModelError, match="no module writes resid_post"):
        confine(untaught("llama", 0), Place("resid_post", 1))
