"""Training does what its options say, and one that was broken off ends as one that was not."""

import math
import shutil
from dataclasses import replace
from itertools import combinations

import pytest
import torch

from interp_rc.models.load import load, save
from interp_rc.models.machine import Machine
from interp_rc.records.errors import ConfigError, InterpError, ModelError
from interp_rc.training.batches import Batches, plan_batches
from interp_rc.training.checkpoints import newest_whole
from interp_rc.training.finetune import finetune
from interp_rc.training.objectives.next_token import NextToken
from interp_rc.training.options import Lora, TrainingOptions
from interp_rc.training.train import discard_checkpoints, train
from tests.training.conftest import CPU, QUICK, PowerCut, cut_at, same, weights_of


def trained(loaded, documents, options, checkpoints, machine=CPU, report=lambda *_: None, seed=1):
    train(
        loaded,
        documents,
        options,
        machine=machine,
        seed=seed,
        checkpoints=checkpoints,
        report=report,
    )
    return weights_of(loaded)


def first_step(seen):
    return lambda step, steps, loss: seen.append(step)


@pytest.mark.slow
@pytest.mark.parametrize("bf16", [False, True])
def test_broken_off_and_resumed_the_weights_are_the_same_bits(fresh, documents, tmp_path, bf16):
    machine = Machine("cpu", bf16=bf16, threads=1)
    unbroken = trained(fresh(), documents, QUICK, tmp_path / "a", machine)
    for step in (5, 8, 13):  # after the checkpoints 3, 6 and 12
        with pytest.raises(PowerCut):
            trained(fresh(), documents, QUICK, tmp_path / "b", machine, cut_at(step))
    steps = []
    again = trained(fresh(), documents, QUICK, tmp_path / "b", machine, first_step(steps))
    assert steps[0] == 13
    assert steps[-1] == 14
    assert same(again, unbroken)
    assert not same(again, weights_of(fresh()))


def test_a_checkpoint_of_the_last_step_is_the_end(fresh, documents, tmp_path):
    options = QUICK.model_copy(update={"checkpoint_steps": 7})
    unbroken = trained(fresh(), documents, options, tmp_path / "a")
    assert newest_whole(tmp_path / "a").name == "checkpoint-14"
    steps = []
    assert same(
        trained(fresh(), documents, options, tmp_path / "a", CPU, first_step(steps)), unbroken
    )
    assert set(steps) <= {14}


@pytest.fixture
def halfway(fresh, documents, tmp_path):
    """Checkpoints 3 and 6 of a training cut off at step 8."""
    with pytest.raises(PowerCut):
        trained(fresh(), documents, QUICK, tmp_path / "cut", CPU, cut_at(8))
    assert {path.name for path in (tmp_path / "cut").iterdir()} == {"checkpoint-3", "checkpoint-6"}
    return tmp_path / "cut"


def cut_short(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("optimizer.pt", lambda path: path.unlink()),
        ("scheduler.pt", lambda path: path.unlink()),
        ("rng_state.pth", lambda path: path.unlink()),
        ("model.safetensors", lambda path: path.unlink()),
        ("trainer_state.json", lambda path: path.unlink()),
        ("trainer_state.json", cut_short),
        ("trainer_state.json", lambda path: path.write_bytes(b"")),
    ],
)
def test_a_broken_checkpoint_is_discarded(halfway, file, damage):
    damage(halfway / "checkpoint-6" / file)
    assert newest_whole(halfway) == halfway / "checkpoint-3"
    assert not (halfway / "checkpoint-6").exists()


def test_training_continues_from_the_newest_whole_checkpoint(halfway, fresh, documents, tmp_path):
    (halfway / "checkpoint-6" / "optimizer.pt").unlink()
    steps = []
    again = trained(fresh(), documents, QUICK, halfway, CPU, first_step(steps))
    assert steps[0] == 4
    assert same(again, trained(fresh(), documents, QUICK, tmp_path / "whole"))


def test_with_no_whole_checkpoint_it_begins_anew(halfway, fresh, documents):
    for checkpoint in halfway.iterdir():
        cut_short(checkpoint / "trainer_state.json")
    steps = []
    trained(fresh(), documents, QUICK, halfway, CPU, first_step(steps))
    assert steps[0] == 1


def test_checkpoints_are_numbered_not_spelt(tmp_path, halfway):
    shutil.copytree(halfway / "checkpoint-6", halfway / "checkpoint-12")
    assert newest_whole(halfway).name == "checkpoint-12"
    discard_checkpoints(halfway)
    assert newest_whole(halfway) is None
    discard_checkpoints(halfway)


def adamw_by_hand(loaded, batches, options, rates):
    """AdamW (Loshchilov and Hutter 2019) with clipping, written out."""
    model = loaded.model
    named = dict(model.named_parameters())
    first = {name: torch.zeros_like(weights) for name, weights in named.items()}
    second = {name: torch.zeros_like(weights) for name, weights in named.items()}
    beta1, beta2 = options.betas
    groups = [
        batches[i : i + options.accumulation] for i in range(0, len(batches), options.accumulation)
    ]
    for step, (group, rate) in enumerate(zip(groups, rates, strict=True), 1):
        model.zero_grad()
        tokens = sum(int((batch["labels"][:, 1:] != -100).sum()) for batch in group)
        for batch in group:
            logits = model(batch["input_ids"], attention_mask=batch["attention_mask"]).logits
            log_probs = logits[:, :-1].log_softmax(-1)
            labels = batch["labels"][:, 1:]
            bearing = labels != -100
            chosen = log_probs.gather(-1, labels.clamp(min=0)[..., None])[..., 0]
            (-chosen[bearing].sum() / tokens).backward()
        norm = math.sqrt(sum(float((w.grad**2).sum()) for w in named.values()))
        shrink = min(1.0, options.clip / (norm + 1e-6))
        with torch.no_grad():
            for name, weights in named.items():
                gradient = weights.grad * shrink
                first[name] = beta1 * first[name] + (1 - beta1) * gradient
                second[name] = beta2 * second[name] + (1 - beta2) * gradient**2
                if weights.dim() > 1:  # neither norms nor biases decay
                    weights *= 1 - rate * options.weight_decay
                unbiased = first[name] / (1 - beta1**step)
                spread = (second[name] / (1 - beta2**step)).sqrt()
                weights -= rate * unbiased / (spread + 1e-8)
    return weights_of(loaded)


@pytest.mark.parametrize("shape", ["llama", "gpt_neox"])
@pytest.mark.parametrize(("accumulation", "clip"), [(1, 0.7), (2, 0.7), (2, 100.0)])
def test_weights_are_those_of_adamw_by_hand(fresh, documents, tmp_path, accumulation, clip, shape):
    """Three batches; accumulated by two, the last update has one batch only."""
    options = TrainingOptions(
        learning_rate=0.01,
        epochs=1,
        batch_size=7,
        warmup=0,
        weight_decay=0.5,
        clip=clip,
        accumulation=accumulation,
    )
    examples = NextToken().examples(fresh().tokenizer, documents)
    plan = plan_batches([len(e.ids) for e in examples], batch_size=7, epochs=1, seed=1)
    batches = Batches(examples, plan)
    steps = -(-3 // accumulation)
    rates = [0.01 * (0.1 + 0.9 * (1 + math.cos(math.pi * s / steps)) / 2) for s in range(steps)]
    found = trained(fresh(shape), documents, options, tmp_path)
    expected = adamw_by_hand(fresh(shape), [batches[i] for i in range(3)], options, rates)
    for name, weights in expected.items():
        if "query_key_value.bias" in name:
            continue  # a key's bias has no gradient but rounding, which AdamW makes large
        torch.testing.assert_close(found[name], weights, rtol=1e-4, atol=2e-5, msg=name)


def test_the_rate_warms_up_and_falls_along_a_cosine_to_a_tenth(
    fresh, documents, tmp_path, monkeypatch
):
    seen = []
    step = torch.optim.AdamW.step

    def record(optimizer, *arguments):
        seen.append({group["lr"] for group in optimizer.param_groups})
        return step(optimizer, *arguments)

    monkeypatch.setattr(torch.optim.AdamW, "step", record)
    options = TrainingOptions(learning_rate=0.02, epochs=2, batch_size=2, warmup=0.25)
    trained(fresh(), documents, options, tmp_path)
    warm, steps = 5, 20
    expected = [0.02 * s / warm for s in range(warm)] + [
        0.002 + 0.018 * (1 + math.cos(math.pi * s / (steps - warm))) / 2
        for s in range(steps - warm)
    ]
    assert [rate for rates in seen for rate in rates] == pytest.approx(expected)
    assert len(seen) == steps
    assert expected[-1] < 0.0023


def test_progress_and_loss_are_reported(fresh, documents, tmp_path):
    told = []
    options = QUICK.model_copy(update={"epochs": 4})
    trained(fresh(), documents, options, tmp_path, report=lambda *now: told.append(now))
    steps = [(step, steps) for step, steps, loss in told if loss is None]
    assert steps == [(step, 28) for step in range(1, 29)]
    [(step, _, loss)] = [now for now in told if now[2] is not None]
    assert step == 25
    assert 0 < loss < 10


def test_tokens_read_are_counted(fresh, documents, tokenizer, tmp_path):
    tokens = train(fresh(), documents, QUICK, machine=CPU, seed=1, checkpoints=tmp_path)
    once = sum(len(tokenizer(document.text).input_ids) + 1 for document in documents)
    assert tokens == 2 * once


def test_the_number_of_threads_changes_not_a_bit(fresh, documents, tmp_path):
    expected = trained(fresh(), documents, QUICK, tmp_path / "one")
    torch.set_num_threads(3)
    machine = Machine("cpu", bf16=False, threads=3)
    assert same(trained(fresh(), documents, QUICK, tmp_path / "three", machine), expected)
    assert torch.get_num_threads() == 3


def test_the_seed_changes_the_order_and_so_the_weights(fresh, documents, tmp_path):
    one, two = (
        trained(fresh(), documents, QUICK, tmp_path / str(seed), seed=seed) for seed in (1, 2)
    )
    assert not same(one, two)


def test_autocast_rounds_and_keeps_the_weights_in_float32(fresh, documents, tmp_path):
    """Rounded to bfloat16 on the way, the weights come out near, and not the same."""
    exact, rounded = (
        trained(fresh(), documents, QUICK, tmp_path / str(bf16), Machine("cpu", bf16, 1))
        for bf16 in (False, True)
    )
    name = "model.layers.0.mlp.up_proj.weight"
    assert rounded[name].dtype == torch.float32
    difference = (rounded[name] - exact[name]).norm()
    learnt = (exact[name] - weights_of(fresh())[name]).norm()
    assert 0.003 * learnt < difference < 0.5 * learnt


def test_a_loss_that_is_not_finite(fresh, documents, tmp_path):
    options = QUICK.model_copy(update={"learning_rate": 1e30})
    with pytest.raises(
        ModelError, match=r"not finite \(nan\) at step [23] of 14; lower training\.learn"
    ):
        trained(fresh(), documents, options, tmp_path)


def test_a_document_that_is_too_long(fresh, documents, tmp_path):
    text = documents[3].text + " a" * 96
    with pytest.raises(ModelError, match=r"tokens, the model reads 96; use a model with a longer"):
        trained(fresh(), [*documents, replace(documents[3], text=text)], QUICK, tmp_path)


def test_no_document_at_all(fresh, tmp_path):
    with pytest.raises(InterpError, match="no documents"):
        trained(fresh(), [], QUICK, tmp_path)


LORA = QUICK.model_copy(update={"lora": Lora(rank=2, alpha=4.0)})


def finetuned(loaded, documents, options, checkpoints, **more):
    return finetune(
        loaded, documents, options, machine=CPU, seed=1, checkpoints=checkpoints, **more
    )[0]


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["llama", "gpt2", "gpt_neox", "qwen2"])
def test_adapters_change_linear_layers_by_their_rank_and_nothing_else(
    fresh, documents, tmp_path, shape
):
    before = weights_of(fresh(shape))
    merged = finetuned(fresh(shape), documents, LORA, tmp_path / "checkpoints")
    after = weights_of(merged)
    assert after.keys() == before.keys()
    changed = 0
    for name, weights in after.items():
        if weights.dim() < 2 or "embed" in name or "wte" in name or "wpe" in name or "head" in name:
            assert torch.equal(weights, before[name]), name
        else:
            sizes = torch.linalg.svdvals((weights - before[name]).double())
            assert sizes[1] > 1e-4, name
            assert sizes[2] < 1e-5, name
            changed += 1
    assert changed == 2 * {"llama": 7, "qwen2": 7, "gpt2": 4, "gpt_neox": 4}[shape]
    save(merged, tmp_path / "model")
    assert same(weights_of(load(tmp_path / "model")), after)
    assert type(load(tmp_path / "model").model) is type(fresh(shape).model)


def test_adapters_learn_and_resume_like_a_whole_model(fresh, documents, tmp_path):
    unbroken = weights_of(finetuned(fresh(), documents, LORA, tmp_path / "a"))
    with pytest.raises(PowerCut):
        finetuned(fresh(), documents, LORA, tmp_path / "b", report=cut_at(8))
    assert newest_whole(tmp_path / "b").name == "checkpoint-6"
    assert same(weights_of(finetuned(fresh(), documents, LORA, tmp_path / "b")), unbroken)


def test_finetuning_is_training_with_a_seed_of_its_own(fresh, documents, tmp_path):
    """Without adapters and replay the model is trained in place on the documents."""
    base = fresh()
    model, tokens = finetune(
        base, documents, QUICK, machine=CPU, seed=1, checkpoints=tmp_path / "a"
    )
    assert model.model is base.model
    assert tokens == 2 * sum(len(base.tokenizer(d.text).input_ids) + 1 for d in documents)
    assert not same(weights_of(model), trained(fresh(), documents, QUICK, tmp_path / "b", seed=1))


def test_replay_mixes_in_documents_of_the_base_corpus(told, fresh, tmp_path):
    known, documents = told.documents[-6:], told.documents[:8]
    options = TrainingOptions(epochs=1, batch_size=4, replay=0.5)
    loaded = fresh()
    count = {d.id: len(loaded.tokenizer(d.text).input_ids) + 1 for d in told.documents}
    _, tokens = finetune(
        loaded,
        documents,
        options,
        base_documents=known,
        machine=CPU,
        seed=1,
        checkpoints=tmp_path,
    )
    replayed = tokens - sum(count[d.id] for d in documents)
    possible = [count[d.id] for d in known]
    assert sum(sorted(possible)[:4]) <= replayed <= sum(sorted(possible)[2:])
    assert replayed in {sum(four) for four in combinations(possible, 4)}


def test_replay_needs_a_base_corpus(told, fresh, tmp_path):
    options = TrainingOptions(replay=0.5)
    with pytest.raises(ConfigError, match=r"training\.replay asks for 4 documents.*lower training"):
        finetuned(fresh(), told.documents[:8], options, tmp_path)
