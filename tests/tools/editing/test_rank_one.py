"""Edits are what they say while they last, and leave not a bit behind."""

import copy

import pytest
import torch
from peft import LoraConfig, get_peft_model

from interp_rc.engine.inputs import read_inputs
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.load import Loaded
from interp_rc.records.errors import ModelError
from interp_rc.tools.editing.rank_one import RankOne, edited
from tests.engine.tiny import precise

DOWN = {
    "gpt2": lambda model: model.transformer.h[1].mlp.c_proj,
    "gpt_neox": lambda model: model.gpt_neox.layers[1].mlp.dense_4h_to_h,
    "bert": lambda model: model.bert.encoder.layer[1].output.dense,
}


def down_of(model):
    kind = model.config.model_type
    return DOWN.get(kind, lambda one: one.model.layers[1].mlp.down_proj)(model)


def edit_of(model, layer=1, seed=0):
    block = Adapter(model.model).parts.blocks[layer]
    shape = block.up.weight.shape
    neurons, width = max(shape), min(shape)
    draw = torch.Generator().manual_seed(seed)
    return RankOne(layer, torch.randn(neurons, generator=draw), torch.randn(width, generator=draw))


def ids_of(model):
    mask = f" {model.tokenizer.mask_token}" if model.tokenizer.mask_token else ""
    return torch.tensor([read_inputs(model, ["Known for being the" + mask], [" a"])[0].ids])


def test_logits_are_those_of_a_copy_whose_weight_was_changed_by_hand(model):
    edit, ids = edit_of(model), ids_of(model)
    changed = copy.deepcopy(model.model)
    by_hand = torch.outer(edit.value.double(), edit.key.double())
    weight = down_of(changed).weight
    weight.data += by_hand.T if model.model.config.model_type == "gpt2" else by_hand
    before = model.model(input_ids=ids).logits
    with edited(model, [edit]):
        found = model.model(input_ids=ids).logits
    expected = changed(input_ids=ids).logits
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert (expected - before).abs().max() > 1e-3


def test_undone_bit_for_bit_also_after_an_error(tiny):
    before = {name: one.clone() for name, one in tiny.model.state_dict().items()}
    edits = [edit_of(tiny, 0), edit_of(tiny, 1, seed=1), edit_of(tiny, 1, seed=2)]
    with edited(tiny, edits):
        inside = tiny.model.state_dict()
        assert sum(not torch.equal(before[name], one) for name, one in inside.items()) == 2
    with pytest.raises(KeyError), edited(tiny, edits):
        raise KeyError
    after = tiny.model.state_dict()
    assert set(after) == set(before)
    assert all(torch.equal(before[name], one) for name, one in after.items())


def test_under_a_lora_adapter_the_sum_changes_as_much(taught):
    loaded = precise(taught, "llama")
    config = LoraConfig(r=2, target_modules=["down_proj"], init_lora_weights=False)
    inside = get_peft_model(loaded.model, config).base_model.model.double().eval()
    adapted = Loaded(inside, loaded.tokenizer)
    edit = edit_of(Loaded(precise(taught, "llama").model, loaded.tokenizer))
    down = down_of(inside)
    value = torch.randn(5, len(edit.key), dtype=torch.float64)
    with torch.no_grad():
        before = down(value)
        with edited(adapted, [edit]):
            found = down(value)
        more = (value @ edit.key.double())[:, None] * edit.value.double()
        torch.testing.assert_close(found, before + more)
        assert torch.equal(down(value), before)


def test_what_cannot_be_edited_says_so(taught):
    llama = taught["llama"]
    edit = edit_of(llama)
    with (
        pytest.raises(ModelError, match="no layer 7; it has 2"),
        edited(llama, [RankOne(7, edit.key, edit.value)]),
    ):
        pass
    with (
        pytest.raises(ModelError, match="the layer needs"),
        edited(llama, [RankOne(1, edit.value, edit.key)]),
    ):
        pass
    loaded = precise(taught, "llama")
    config = LoraConfig(r=2, target_modules=["down_proj"], use_dora=True)
    inside = get_peft_model(loaded.model, config).base_model.model.double().eval()
    with pytest.raises(ModelError, match="DoRA"), edited(Loaded(inside, llama.tokenizer), [edit]):
        pass
