"""Models to train, and how a training is broken off."""

import copy

import pytest
import torch

from interp_rc.models.load import Loaded
from interp_rc.models.machine import Machine
from interp_rc.training.options import TrainingOptions

CPU = Machine("cpu", bf16=False, threads=1)
QUICK = TrainingOptions(learning_rate=0.01, epochs=2, batch_size=3, checkpoint_steps=3)


class PowerCut(Exception):
    pass


@pytest.fixture(scope="module")
def documents(told):
    return told.documents[:20]  # seven batches of three, the last of two


@pytest.fixture
def fresh(taught):
    """An own copy of a model, to be trained."""

    def make(shape="llama"):
        model, tokenizer = taught[shape]
        model = copy.deepcopy(model).requires_grad_(True)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():  # unlearn, so that there is something to learn
            for weights in model.parameters():
                weights += 0.05 * torch.randn(weights.shape, generator=generator)
        return Loaded(model, tokenizer)

    return make


def weights_of(loaded):
    return {name: weights.clone() for name, weights in loaded.model.state_dict().items()}


def same(first, second):
    return first.keys() == second.keys() and all(
        torch.equal(weights, second[name]) for name, weights in first.items()
    )


def cut_at(step):
    def report(now, steps, loss):
        if now == step:
            raise PowerCut

    return report
