"""In however many batches it is accumulated, an update is that of all its documents at once."""

import copy
import math

import pytest
import torch
from torch.optim import AdamW

from interp_rc.models.load import Loaded
from interp_rc.records.errors import ModelError
from interp_rc.records.nouns import Document, Span
from interp_rc.training.batches import plan_batches
from interp_rc.training.finetune import finetune
from interp_rc.training.objectives.next_token import NextToken
from interp_rc.training.options import Lora, PromptTuning, TrainingOptions
from interp_rc.training.train import train
from tests.training.conftest import CPU, QUICK, PowerCut, cut_at, same, weights_of

KINDS = {
    "whole": TrainingOptions(),
    "lora": TrainingOptions(lora=Lora(rank=2)),
    "soft prompt": PromptTuning(virtual_tokens=3),
}
PLAIN = {"epochs": 1, "warmup": 0.0, "clip": 1e9, "learning_rate": 0.01}


@pytest.fixture(scope="module")
def uneven(told):
    """Of very different lengths, and with completions of one word to all of them."""
    long, short = told.documents[0].text, told.documents[1].text
    texts = [long + " " + short[:40], short[:9], long, short[:15], short]
    starts = [5, 2, len(long) - 4, 3, 12]
    return [
        Document(str(n), "f", "forward", "t", text, {"completion": [Span(start, start + 1)]})
        for n, (text, start) in enumerate(zip(texts, starts, strict=True))
    ]


@pytest.fixture
def gradients(monkeypatch):
    """The gradients that every update is made with, by the id of their weights."""
    seen = []
    step = AdamW.step

    def record(optimizer, *arguments):
        weights = [w for group in optimizer.param_groups for w in group["params"]]
        seen.append({id(w): w.grad.double() for w in weights})
        return step(optimizer, *arguments)

    monkeypatch.setattr(AdamW, "step", record)
    return seen


def flat(tensors):
    return torch.cat([tensor.flatten().double() for tensor in tensors])


@pytest.mark.parametrize("loss_on", ["document", "completion"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("size", "accumulation"), [(1, 5), (2, 3)])
def test_an_update_is_that_of_one_batch(
    fresh, uneven, gradients, tmp_path, kind, loss_on, size, accumulation
):
    """Five documents at once; one by one; in two batches of two and one of one."""
    told = {}
    for name, update in {
        "once": {"batch_size": 5},
        "parts": {"batch_size": size, "accumulation": accumulation},
    }.items():
        options = KINDS[kind].model_copy(
            update={**PLAIN, "objective": NextToken(loss_on=loss_on), **update}
        )
        told[name], _ = finetune(
            fresh(), uneven, options, machine=CPU, seed=1, checkpoints=tmp_path / name
        )
    once, parts = (flat(update.values()) for update in gradients)
    assert float((parts - once).norm() / once.norm()) < 1e-5
    once, parts = (flat(weights_of(learner).values()) for learner in told.values())
    assert float((parts - once).abs().max()) < 0.01 * PLAIN["learning_rate"]


def mean_over_tokens(model, tokenizer, documents, loss_on):
    """Cross-entropy, one document and one token at a time."""
    losses = []
    for document in documents:
        encoded = tokenizer(document.text, return_offsets_mapping=True)
        ids = [*encoded.input_ids, tokenizer.eos_token_id]
        ends = [*(end for _, end in encoded.offset_mapping), math.inf]
        log_probs = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
        for place in range(1, len(ids)):
            if loss_on == "document" or ends[place] > len(document.prompt):
                losses.append(-log_probs[place - 1, ids[place]])
    return sum(losses) / len(losses)


@pytest.mark.parametrize("loss_on", ["document", "completion"])
@pytest.mark.parametrize("accumulation", [1, 2, 3])
def test_every_update_is_that_of_a_loop_over_tokens(
    fresh, uneven, gradients, tmp_path, loss_on, accumulation
):
    """In float64; accumulated by two, the last update has one batch, of one document."""
    objective, loaded = NextToken(loss_on=loss_on), fresh()
    options = TrainingOptions(
        **{**PLAIN, "learning_rate": 1e-12},
        objective=objective,
        batch_size=2,
        accumulation=accumulation,
    )
    exact = copy.deepcopy(loaded.model).double()
    train(loaded, uneven, options, machine=CPU, seed=1, checkpoints=tmp_path)
    examples = objective.examples(loaded.tokenizer, uneven)
    plan = plan_batches([len(e.ids) for e in examples], batch_size=2, epochs=1, seed=1)
    updates = [plan[i : i + accumulation] for i in range(0, len(plan), accumulation)]
    assert len(gradients) == len(updates) == math.ceil(3 / accumulation)
    for found, update in zip(gradients, updates, strict=True):
        exact.zero_grad()
        documents = [uneven[i] for batch in update for i in batch]
        mean_over_tokens(exact, loaded.tokenizer, documents, loss_on).backward()
        names = {name: found[id(weights)] for name, weights in loaded.model.named_parameters()}
        right = flat(weights.grad for _, weights in exact.named_parameters())
        assert float((flat(names.values()) - right).norm() / right.norm()) < 1e-5


@pytest.mark.parametrize("loss_on", ["document", "completion"])
def test_the_loss_that_is_logged_is_the_mean_over_all_tokens(fresh, uneven, tmp_path, loss_on):
    """Of 25 updates of five documents, accumulated one by one, in a model that hardly moves."""
    options = TrainingOptions(
        **{**PLAIN, "epochs": 25, "learning_rate": 1e-12},
        objective=NextToken(loss_on=loss_on),
        batch_size=1,
        accumulation=5,
    )
    loaded, logged = fresh(), []
    train(
        loaded,
        uneven,
        options,
        machine=CPU,
        seed=1,
        checkpoints=tmp_path,
        report=lambda step, steps, loss: logged.append(loss),
    )
    [loss] = [loss for loss in logged if loss is not None]
    expected = mean_over_tokens(loaded.model.double(), loaded.tokenizer, uneven, loss_on)
    assert loss == pytest.approx(expected.item(), rel=1e-5)


def test_broken_off_and_resumed_accumulated_weights_are_the_same_bits(fresh, documents, tmp_path):
    """Of fourteen batches by three the last two make an update of their own."""
    options = QUICK.model_copy(update={"accumulation": 3, "checkpoint_steps": 2})

    def trained(folder, report=lambda *_: None):
        loaded = fresh()
        train(loaded, documents, options, machine=CPU, seed=1, checkpoints=folder, report=report)
        return weights_of(loaded)

    with pytest.raises(PowerCut):
        trained(tmp_path / "cut", cut_at(4))
    assert same(trained(tmp_path / "cut"), trained(tmp_path / "whole"))


def test_a_document_without_a_token_to_learn_is_named(fresh, uneven, tmp_path):
    """A mean over no token would be NaN, and be put down to the learning rate."""
    model, tokenizer = fresh()
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.eos_token = None
    empty = Document("d9", "f", "forward", "t", "", {})
    with pytest.raises(ModelError, match=r"document d9 \(''\) has no token that bears a loss"):
        train(
            Loaded(model, tokenizer),
            [*uneven, empty],
            QUICK,
            machine=CPU,
            seed=1,
            checkpoints=tmp_path,
        )
