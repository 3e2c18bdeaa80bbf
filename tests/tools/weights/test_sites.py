"""Sites by name, and what they hold: every parameter once."""

from collections import Counter

import pytest
from transformers.pytorch_utils import Conv1D

from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.planted.plant import plant
from interp_rc.records.errors import ConfigError, ModelError
from interp_rc.tools.gradients.parameter_groups import untied
from interp_rc.tools.weights.sites import (
    WeightSite,
    component_of,
    located,
    matrices,
    pieces_of,
    units,
)
from tests.engine.tiny import precise


@pytest.fixture(params=["llama", "gpt2", "gpt_neox", "qwen2", "gemma2"])
def adapter(request, taught):
    return Adapter(precise(taught, request.param).model)


def test_units_hold_every_parameter_once(adapter):
    with untied(adapter.parts):
        every = dict(adapter.model.named_parameters())
        assert set(every) == set(dict(adapter.model.named_parameters(remove_duplicate=False)))
        held = Counter(p.parameter for site in units(adapter) for p in pieces_of(adapter, site))
    assert held == Counter(list(every))


def test_matrices_are_all_that_multiplies_in_the_layers(adapter):
    found = matrices(adapter)
    held = {p.parameter for site in found for p in pieces_of(adapter, site)}
    inside = {
        p.parameter
        for site in units(adapter)
        if site.part in ("attention", "mlp")
        for p in pieces_of(adapter, site)
    }
    weights = {n: p for n, p in adapter.model.named_parameters() if p.ndim == 2}
    assert held == inside
    assert {name for name in held if name in weights} == {n for n in weights if n in inside}
    assert len(found) == len([name for name in held if name.endswith("weight")])
    whole = [component_of(adapter, site) for site in found]
    assert whole == sorted(whole[: len(whole) // 2]) * 2
    assert {site.layer for site in found} == {0, 1}


def test_a_neurons_key_and_value_are_its_rows_and_columns():
    """Of planted models, in which only the neurons of the look-up are not zero."""
    for shape in ("gpt2", "llama"):
        one = plant("mlp", shape, 3)
        adapter = Adapter(one.loaded.model)
        layer = one.store["forward"].place.layer
        weights = dict(one.loaded.model.named_parameters())
        named = {"key": ["c_fc", "gate_proj", "up_proj"], "value": ["c_proj", "down_proj"]}
        for part, names in named.items():
            full = set()
            for neuron in range(64):
                pieces = pieces_of(adapter, WeightSite(part, layer, neuron))
                for name, dim, at in pieces:
                    assert f".{layer}.mlp." in name
                    assert any(known in name for known in names)
                    if weights[name].select(dim, at).any():
                        full.add(neuron)
            assert full == set(one.neurons["forward"])


@pytest.mark.parametrize(
    "name",
    ["input_embedding", "output_rows", "norms", "attention.0", "mlp.1", "key.1.3", "value.0.47"],
)
def test_names_are_read_as_they_are_written(adapter, name):
    assert located(adapter, name).name == name
    assert located(adapter, name) == WeightSite.parse(name)


def test_modules_have_the_models_own_names(adapter):
    for site in matrices(adapter):
        assert located(adapter, site.name) == site


@pytest.mark.parametrize("name", ["mlp", "norms.1", "key.2", "attention.1.2", "", "anything"])
def test_names_of_nothing_are_refused(name):
    with pytest.raises(ConfigError, match="no weights are called"):
        WeightSite.parse(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mlp.9", "layers 0 to 1"),
        ("value.1.9999", "neurons 0 to"),
        ("key.7.0", "layers 0 to 1"),
        ("model.nowhere", "no linear module 'model.nowhere'"),
        ("model.norm", "no linear module"),
    ],
)
def test_what_the_model_does_not_have_is_refused(taught, name, message):
    with pytest.raises(ModelError, match=message):
        located(Adapter(taught["llama"].model), name)


def test_a_conv1d_is_read_from_its_other_side(taught):
    adapter = Adapter(taught["gpt2"].model)
    assert isinstance(adapter.parts.blocks[0].up, Conv1D)
    [row, bias] = pieces_of(adapter, WeightSite("key", 0, 5))
    assert (row.dim, row.at, bias.dim, bias.at) == (1, 5, 0, 5)
    [value] = pieces_of(adapter, WeightSite("value", 0, 5))
    assert (value.dim, value.at) == (0, 5)


def test_output_rows_outside_the_layers_are_no_matrix_of_them(taught):
    with pytest.raises(ModelError, match="is in no layer; name output_rows"):
        component_of(Adapter(taught["gpt2"].model), WeightSite(module="lm_head"))
