"""A training is on one device, however many this machine shows, and leaves the model as it was."""

import pytest
import torch
from torch import nn
from transformers import TrainingArguments

from interp_rc.models.machine import Machine
from interp_rc.models.scoring import score
from interp_rc.records.errors import ModelError
from interp_rc.training.train import check_loss, train
from tests.training.conftest import CPU, QUICK, PowerCut, cut_at, same, weights_of


def trained(loaded, documents, folder, options=QUICK, machine=CPU, report=lambda *_: None):
    train(loaded, documents, options, machine=machine, seed=1, checkpoints=folder, report=report)
    return weights_of(loaded)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("accumulation", [1, 2])
def test_several_gpus_change_nothing(fresh, documents, tmp_path, monkeypatch, device, accumulation):
    """Two that are seen: torch counts them also where it cannot use them, as on this machine."""
    options = QUICK.model_copy(update={"accumulation": accumulation})
    expected = trained(fresh(), documents, tmp_path / "a", options)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(nn.DataParallel, "__init__", lambda *_: pytest.fail("copied to each"))
    steps = []
    found = trained(
        fresh(),
        documents,
        tmp_path / "b",
        options,
        Machine(device, bf16=False, threads=1),
        lambda step, *_: steps.append(step),
    )
    assert same({name: weights.cpu() for name, weights in found.items()}, expected) or (
        torch.cuda.is_available()  # which rounds otherwise
    )
    assert max(steps) == 14 // accumulation


def test_trainer_would_take_them_all(tmp_path, monkeypatch):
    """Without our word, so that the test above can fail."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert TrainingArguments(output_dir=str(tmp_path)).n_gpu == 2


def dropping(loaded):
    for module in loaded.model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.2
    return loaded


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("broken_off", [False, True])
def test_afterwards_the_model_is_evaluated_in_its_own_precision(
    fresh, documents, tmp_path, bf16, broken_off
):
    loaded, machine = dropping(fresh("gpt2")), Machine("cpu", bf16=bf16, threads=1)
    modes = []

    def record(model, _):
        if torch.is_grad_enabled():  # it is looked at before it learns
            modes.append(model.training)

    hook = loaded.model.register_forward_pre_hook(record)
    if broken_off:
        with pytest.raises(PowerCut):
            trained(loaded, documents, tmp_path, machine=machine, report=cut_at(5))
    else:
        trained(loaded, documents, tmp_path, machine=machine)
    hook.remove()
    assert set(modes) == {True}
    assert not any(module.training for module in loaded.model.modules())
    assert "forward" not in loaded.model.__dict__
    again = fresh("gpt2")
    again.model.load_state_dict(loaded.model.state_dict())
    asked = ["The"], [" keeper of bees"]
    assert torch.equal(score(*loaded, *asked).log_prob, score(*again, *asked).log_prob)


def test_a_forward_of_the_models_own_is_kept(fresh, documents, tmp_path):
    """As Accelerate gives models that are spread over devices."""
    loaded = fresh()
    own = loaded.model.forward
    loaded.model.forward = lambda *args, **options: own(*args, **options)
    kept = loaded.model.forward
    trained(loaded, documents, tmp_path, machine=Machine("cpu", bf16=True, threads=1))
    assert loaded.model.forward is kept


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_named_before_anything_is_learnt(
    fresh, documents, tmp_path, value
):
    loaded, steps = fresh(), []
    with torch.no_grad():
        loaded.model.model.layers[1].mlp.up_proj.weight[3, 5] = value
    with pytest.raises(ModelError, match=r"model to train holds .*layers\.1\.mlp\.up_proj\.weight"):
        trained(loaded, documents, tmp_path, report=lambda *now: steps.append(now))
    assert not steps


def test_a_loss_that_is_no_number_ends_the_training_at_its_step(fresh, documents, tmp_path):
    """The weights are spoilt on the way, after the fourth step."""
    loaded, steps = fresh(), []

    def spoil(step, *_):
        steps.append(step)
        if step == 4:
            with torch.no_grad():
                loaded.model.model.norm.weight.fill_(float("nan"))

    with pytest.raises(
        ModelError, match=r"not finite \(nan\) at step 5 of 14; lower training\.lea"
    ):
        trained(loaded, documents, tmp_path, report=spoil)
    assert steps == [1, 2, 3, 4]


def test_weights_that_are_no_numbers_after_the_last_step(fresh, documents, tmp_path):
    loaded = fresh()

    def spoil(step, *_):
        if step == 14:
            with torch.no_grad():
                loaded.model.model.norm.weight.fill_(float("inf"))

    with pytest.raises(ModelError, match=r"not finite after the last step; lower training"):
        trained(loaded, documents, tmp_path, report=spoil)


def test_a_model_that_overflows_is_not_blamed_on_the_learning_rate():
    check_loss(torch.tensor(3.0), 1, 14)
    with pytest.raises(ModelError, match=r"\(inf\) at step 1 of 14, before anything was learnt"):
        check_loss(torch.tensor(torch.inf), 1, 14)
