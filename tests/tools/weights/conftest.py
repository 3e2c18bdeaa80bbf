"""Pairs of tiny models that differ in every parameter."""

import copy

import pytest
import torch

from interp_rc.models.load import Loaded


def other_than(loaded, seed=7, scale=0.2):
    """A copy with every parameter changed, tied ones together."""
    model = copy.deepcopy(loaded.model)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            drawn = torch.randn(parameter.shape, generator=draw, dtype=parameter.dtype)
            parameter.add_(scale * parameter.std().clamp(min=0.05) * drawn)
    return Loaded(model.eval().requires_grad_(False), loaded.tokenizer)


@pytest.fixture(scope="session")
def pairs(taught):
    """Of every family the base and the finetuned model. Read-only."""
    return {shape: (other_than(one), one) for shape, one in taught.items()}


def kept(loaded):
    """All weights, under all their names."""
    return {
        name: weight.detach().clone()
        for name, weight in loaded.model.named_parameters(remove_duplicate=False)
    }


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)
