"""A soft prompt learns, and nothing else does; broken off and resumed it ends as unbroken."""

import pytest
import torch

from interp_rc.models.load import load, save
from interp_rc.models.machine import Machine
from interp_rc.models.scoring import score
from interp_rc.records.errors import ConfigError, ModelError
from interp_rc.training.checkpoints import newest_whole
from interp_rc.training.finetune import finetune
from interp_rc.training.options import PromptTuning, TrainingOptions
from tests.training.conftest import CPU, PowerCut, cut_at, same, weights_of

SOFT = PromptTuning(virtual_tokens=4, learning_rate=0.1, epochs=2, batch_size=3, checkpoint_steps=3)
PROMPT = "prompt_encoder.default.embedding.weight"


def tuned(loaded, documents, checkpoints, options=SOFT, seed=1, **more):
    machine = more.pop("machine", CPU)
    return finetune(
        loaded, documents, options, machine=machine, seed=seed, checkpoints=checkpoints, **more
    )[0]


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["llama", "gpt2", "gpt_neox", "qwen2"])
def test_only_the_soft_prompt_learns(fresh, documents, tmp_path, shape):
    before = weights_of(fresh(shape))
    base = fresh(shape)
    learner = tuned(base, documents, tmp_path / "checkpoints")
    assert learner.model.base_model is base.model
    assert same(weights_of(base), before)
    start = tuned(fresh(shape), documents, tmp_path / "none", SOFT.model_copy(
        update={"learning_rate": 1e-12}))  # fmt: skip
    moved = (learner.model.state_dict()[PROMPT] - start.model.state_dict()[PROMPT]).abs()
    assert moved.min() > 0
    prompts = [d.prompt for d in documents]
    targets = [d.text[len(d.prompt) :] for d in documents]
    gain = score(*learner, prompts, targets).log_prob - score(*start, prompts, targets).log_prob
    assert gain.mean() > 0
    save(learner, tmp_path / "model")
    again = load(tmp_path / "model")
    assert torch.equal(again.model.state_dict()[PROMPT], learner.model.state_dict()[PROMPT])
    assert same(weights_of(load(tmp_path / "base")), before)


def test_the_first_step_is_adamw_on_the_gradient_by_hand(fresh, documents, tmp_path):
    """One batch, warm-up off: each value moves by the rate against its gradient's sign."""
    options = SOFT.model_copy(
        update={"epochs": 1, "batch_size": 20, "warmup": 0.0, "weight_decay": 0.0, "clip": 1e9}
    )
    start = tuned(fresh(), documents, tmp_path / "a", options.model_copy(
        update={"learning_rate": 1e-12}))  # fmt: skip
    learner = tuned(fresh(), documents, tmp_path / "b", options)
    soft = start.model.state_dict()[PROMPT].clone().requires_grad_(True)
    base, tokenizer = fresh()
    rows, loss, count = base.get_input_embeddings(), 0.0, 0
    for document in documents:
        ids = torch.tensor([*tokenizer(document.text).input_ids, tokenizer.eos_token_id])
        logits = base(inputs_embeds=torch.cat([soft, rows(ids)])[None]).logits[0, len(soft) :]
        loss = loss - logits[:-1].log_softmax(-1).gather(-1, ids[1:, None]).sum()
        count += len(ids) - 1
    (loss / count).backward()
    moved = learner.model.state_dict()[PROMPT] - soft.detach()
    clear = soft.grad.abs() > 1e-6
    assert clear.float().mean() > 0.9
    expected = -0.1 * soft.grad / (soft.grad.abs() + 1e-8)
    torch.testing.assert_close(moved[clear], expected[clear], rtol=1e-2, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("bf16", [False, True])
def test_broken_off_and_resumed_it_is_the_same_soft_prompt(fresh, documents, tmp_path, bf16):
    machine = Machine("cpu", bf16=bf16, threads=1)
    unbroken = weights_of(tuned(fresh(), documents, tmp_path / "a", machine=machine))
    for step in (5, 8):
        with pytest.raises(PowerCut):
            tuned(fresh(), documents, tmp_path / "b", machine=machine, report=cut_at(step))
    assert newest_whole(tmp_path / "b").name == "checkpoint-6"
    steps = []
    again = tuned(
        fresh(),
        documents,
        tmp_path / "b",
        machine=machine,
        report=lambda step, *_: steps.append(step),
    )
    assert steps[0] == 7
    assert same(weights_of(again), unbroken)


def test_the_seed_draws_the_soft_prompt(fresh, documents, tmp_path):
    one, other = (
        tuned(
            fresh(),
            documents,
            tmp_path / str(seed),
            SOFT.model_copy(update={"learning_rate": 1e-12}),
            seed=seed,
        )
        for seed in (1, 2)
    )
    assert not torch.equal(one.model.state_dict()[PROMPT], other.model.state_dict()[PROMPT])


def test_documents_must_leave_room_for_it(fresh, documents, tmp_path):
    options = SOFT.model_copy(update={"virtual_tokens": 90})
    with pytest.raises(ModelError, match="tokens, the model reads 6"):
        tuned(fresh(), documents, tmp_path, options)


# Which facts are told


def test_all_are_told_or_those_of_one_group(told):
    assert TrainingOptions().told(told) == told.documents
    group = {fact.id: fact.group for fact in told.facts}
    for only in ("trained_forward", "trained_backward", "both"):
        found = PromptTuning(only=only).told(told)
        assert found == [d for d in told.documents if group[d.fact] == only]
        assert len(found) == 12 * (1 + (only == "both"))


def test_a_group_that_there_is_not(told):
    with pytest.raises(ConfigError, match=r"training\.only: no document .* 'names' \(trained_"):
        TrainingOptions(only="names").told(told)
