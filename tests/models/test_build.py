"""New models: their shape, their size and their seed."""

import pytest
import torch
from pydantic import ValidationError

from interp_rc.models.build import Size, build_model, model_config
from interp_rc.models.load import Loaded, load, save

SHAPES = ("llama", "gpt2", "gpt_neox", "qwen2")


def build(shape="llama", seed=0, vocabulary=2048, **size):
    return build_model(model_config(Size(shape=shape, **size), vocabulary, 1, 2, 0), seed)


def count(model):
    return sum(weights.numel() for weights in model.parameters())


def test_the_default_has_a_million_parameters():
    width, mlp, layers = 128, 336, 4
    layer = 4 * width**2 + 3 * width * mlp + 2 * width
    assert count(build()) == 2048 * width + layers * layer + width == 1_041_536


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_has_about_as_many(shape):
    model = build(shape)
    assert count(model) == pytest.approx(1.04e6, rel=0.05)
    assert model.config.model_type == shape
    assert model.config.num_hidden_layers == 4
    assert model.config.max_position_embeddings == 256
    assert {weights.dtype for weights in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("shape", SHAPES)
def test_input_and_output_rows_are_one_tensor_even_when_loaded_again(shape, tokenizer, tmp_path):
    model = build(shape, vocabulary=len(tokenizer), layers=1, width=16, heads=2)
    save(Loaded(model, tokenizer), tmp_path / "model")
    for one in (model, load(tmp_path / "model").model):
        rows = one.get_output_embeddings().weight
        assert rows.data_ptr() == one.get_input_embeddings().weight.data_ptr()


@pytest.mark.parametrize("shape", SHAPES)
def test_an_explicit_hidden_width(shape):
    wide, narrow = (count(build(shape, layers=1, width=16, heads=2, mlp=mlp)) for mlp in (40, 24))
    matrices = 3 if shape in ("llama", "qwen2") else 2
    biases = 0 if shape in ("llama", "qwen2") else 1
    assert wide - narrow == 16 * (matrices * 16 + biases)


@pytest.mark.parametrize("shape", SHAPES)
def test_weights_follow_the_seed_alone(shape):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first = build(shape, seed=3, layers=1, width=16, heads=2)
    assert torch.equal(torch.rand(1), expected)  # the global generator stays as it was
    again, other = (build(shape, seed=seed, layers=1, width=16, heads=2) for seed in (3, 4))
    for name, weights in first.state_dict().items():
        assert torch.equal(weights, again.state_dict()[name])
    assert not torch.equal(first.get_input_embeddings().weight, other.get_input_embeddings().weight)


@pytest.mark.parametrize(
    "size", [{"width": 12}, {"width": 20, "heads": 4}, {"layers": 0}, {"heads": 0}, {"context": -1}]
)
def test_sizes_that_cannot_be(size):
    with pytest.raises(ValidationError):
        Size(**size)
    assert Size(width=24, heads=4).width == 24
