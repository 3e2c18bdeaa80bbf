"""Wrong adapters for heads, patterns and neurons do not get through their proof."""

import copy

import pytest
import torch
from transformers import AttentionInterface

from interp_rc.models.adapters import adapter as module
from interp_rc.models.adapters import ragged
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.records.errors import ModelError
from tests.engine.loop import FAMILIES, made

NORMED = ("gemma2", "gemma3_text")  # the stream is given what comes out of a norm, not `project`


def plant(monkeypatch, family, change):
    """The family's adapter with its blocks changed."""
    kind = made(family).model.config.model_type
    real = module.FAMILIES[kind]

    def wrong(model):
        parts = real(model)
        return parts._replace(blocks=[change(block) for block in parts.blocks])

    monkeypatch.setitem(module.FAMILIES, kind, wrong)


def other(linear):
    """One like it, with other weights, that the model never calls."""
    found = copy.deepcopy(linear)
    with torch.no_grad():
        found.weight.neg_()
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_right_ones_get_through(family):
    assert Adapter(made(family).model).layers == 3


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("part", ["project", "down"])
def test_a_module_that_the_model_does_not_call(monkeypatch, family, part):
    plant(monkeypatch, family, lambda b: b._replace(**{part: other(getattr(b, part))}))
    with pytest.raises(ModelError, match="does not fit this model"):
        Adapter(made(family).model)


@pytest.mark.parametrize("family", NORMED)
@pytest.mark.parametrize(
    ("part", "place", "wrong"),
    [
        ("project", "z of layer 0", lambda b: other(b.project)),
        ("project", "z of layer 0", lambda b: b.attention.q_proj),
        ("down", "mlp_post of layer 0", lambda b: other(b.down)),
        ("down", "mlp_post of layer 0", lambda b: b.mlp.gate_proj),
    ],
)
def test_the_message_names_the_place(monkeypatch, family, part, place, wrong):
    """Where only the proof of heads and neurons can find it."""
    plant(monkeypatch, family, lambda b: b._replace(**{part: wrong(b)}))
    with pytest.raises(ModelError, match=place):
        Adapter(made(family).model)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt_neox", "gemma2", "bert"])
@pytest.mark.parametrize("what", ["z", "pattern"])
@pytest.mark.parametrize("shown", [True, False])
def test_attention_that_ignores_what_is_put_there(monkeypatch, family, what, shown):
    real = ragged.attend

    def deaf(*args, ragged, **kwargs):
        see = ragged.see

        def ignoring(component, value):
            if component != what:
                return see(component, value)
            if shown:
                see(component, value)
            return value

        ragged.see = None if see is None else ignoring
        return real(*args, ragged=ragged, **kwargs)

    AttentionInterface.register(ragged.NAME, deaf)
    try:
        with pytest.raises(ModelError, match=f"{what} of layer 0"):
            Adapter(made(family).model)
    finally:
        AttentionInterface.register(ragged.NAME, real)


def test_attention_of_its_own():
    """That does not go through Transformers' attention interface."""
    model = made("llama").model
    for layer in model.model.layers:
        project = layer.self_attn.o_proj

        def forward(hidden_states, project=project, **_):
            return project(torch.nn.functional.pad(hidden_states.cumsum(-2), (0, 8))), None

        layer.self_attn.forward = forward
    with pytest.raises(ModelError, match="attention does not go through Transformers'"):
        Adapter(model)
