"""The readout against finite differences in every group's direction, and against its sum."""

import copy

import pytest
import torch

from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.load import Loaded
from interp_rc.models.planted.plant import plant
from interp_rc.records.errors import ModelError, ScoringError
from interp_rc.tools.gradients.parameter_groups import parameters_of
from interp_rc.tools.weights.update_readout import update_readouts
from tests.conftest import SHAPES, untaught
from tests.engine.hooked import Loop
from tests.engine.tiny import precise
from tests.models.test_lora import adapted

STEP = 1e-5


@pytest.fixture(scope="module")
def asked(told):
    some = [query for query in told.queries if query.template == told.queries[0].template][:3]
    return [query.prompt for query in some], [query.target for query in some]


def moved(loaded, seed=0, by=0.02):
    """The same model, every weight a little off; in float64."""
    model = copy.deepcopy(loaded.model)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=draw, dtype=parameter.dtype)
            parameter.add_(by * noise)
    return Loaded(model, loaded.tokenizer)


def untied(loaded):
    model = copy.deepcopy(loaded.model)
    head = model.get_output_embeddings()
    head.weight = torch.nn.Parameter(head.weight.detach().clone(), requires_grad=False)
    return Loaded(model, loaded.tokenizer)


def nats(loaded, prompts, targets):
    loop = Loop(loaded)
    found = [loop.log_prob(*one) for one in zip(prompts, targets, strict=True)]
    return torch.tensor(found, dtype=torch.float64)


@pytest.mark.parametrize("shape", [*SHAPES, "gemma2"])
def test_first_order_parts_are_finite_differences(taught, asked, unrounded, shape):
    base = untied(precise(taught, shape))
    finetuned = moved(base)
    found = update_readouts(base, finetuned, *asked, points=1)
    # The groups of the gradients' own tool, which knows nothing of modules' inputs and outputs.
    with parameters_of(base.model, Adapter(base.model).parts) as parameters:
        ids = {id(p): name for name, p in base.model.named_parameters()}
        group_of = {
            ids[id(p)]: group
            for p, group in zip(parameters.tensors, parameters.groups, strict=True)
        }
    goals = dict(finetuned.model.named_parameters())
    for column, group in enumerate(found.groups):
        ends = []
        for sign in (1, -1):
            shifted = copy.deepcopy(base.model)
            with torch.no_grad():
                for name, parameter in shifted.named_parameters():
                    if group_of[name] == group:
                        parameter.add_(sign * STEP * (goals[name] - parameter))
            ends.append(nats(Loaded(shifted, base.tokenizer), *asked))
        slope = (ends[0] - ends[1]) / (2 * STEP)
        torch.testing.assert_close(found.base[:, column], slope, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_path_adds_up_and_neither_model_is_changed(taught, asked, shape):
    base = precise(taught, shape)
    finetuned = moved(base)
    before = [p.clone() for one in (base, finetuned) for p in one.model.parameters()]
    found = update_readouts(base, finetuned, *asked, points=24)
    after = [p for one in (base, finetuned) for p in one.model.parameters()]
    assert all(torch.equal(*pair) for pair in zip(before, after, strict=True))
    whole = nats(finetuned, *asked) - nats(base, *asked)
    torch.testing.assert_close(found.whole, whole)
    torch.testing.assert_close(found.path.sum(1), whole, rtol=1e-5, atol=1e-6)
    assert len({group.name for group in found.groups} & {"input_embedding", "output_rows"}) == 2


def test_a_tied_matrix_is_read_out_like_two_equal_ones(taught, asked):
    base = precise(taught, "llama")
    finetuned = moved(base)
    one = update_readouts(base, finetuned, *asked, points=2)
    two = update_readouts(untied(base), untied(finetuned), *asked, points=2)
    torch.testing.assert_close(one.path, two.path)


def test_the_batch_does_not_matter(taught, asked):
    base = precise(taught, "gpt2")
    together = update_readouts(base, moved(base), *asked, points=2)
    alone = update_readouts(base, moved(base), *asked, points=2, memory=1)
    torch.testing.assert_close(together.path, alone.path)


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["gpt2", "llama"])
@pytest.mark.parametrize("kind", ["two_way", "two_stores"])
def test_a_planted_store_is_what_is_read_out(kind, shape):
    """Base: the planting without its values. Two stores are read out in their own orders only."""
    planted = plant(kind, shape, seed=0)
    finetuned = planted.loaded
    base = Loaded(copy.deepcopy(finetuned.model), finetuned.tokenizer)
    parts = Adapter(base.model).parts
    with torch.no_grad():
        for order, at in planted.store.items():
            down = parts.blocks[at.place.layer].down
            value = down.weight if shape == "gpt2" else down.weight.T
            value[planted.neurons[order]] = 0.0
    for order, contrasts in planted.contrasts.items():
        some = contrasts[:8]
        prompts = [contrast.clean for contrast in some]
        found = update_readouts(base, finetuned, prompts, [c.target for c in some], points=64)
        store = [g.layer == planted.store[order].place.layer and g.name == "mlp"
                 for g in found.groups]  # fmt: skip
        own = found.path[:, store].sum(1)
        assert (own > 1).all()
        torch.testing.assert_close(own, found.whole, rtol=1e-3, atol=1e-2)
        assert found.path[:, [not one for one in store]].abs().max() < 1e-9


def test_what_cannot_be_compared_is_refused(taught, tokenizer, asked, tmp_path):
    base = taught["llama"]
    with pytest.raises(ModelError, match="one shape"):
        update_readouts(base, untaught(tokenizer, "llama", width=64), *asked)
    adapter = Loaded(adapted(base, tmp_path).base_model.model, base.tokenizer)
    with pytest.raises(ModelError, match="merge it"):
        update_readouts(base, adapter, *asked)
    bert = precise(taught, "bert")
    with pytest.raises(ScoringError, match="mask"):
        update_readouts(bert, bert, *asked)
