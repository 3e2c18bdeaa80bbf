"""What is asked while a model learns: the right things at the right steps, at no cost to what it
learns; broken off and resumed, the table is the same."""

from collections import Counter
from dataclasses import replace

import pandas as pd
import pytest

from interp_rc.models.machine import Machine
from interp_rc.models.scoring import score
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import TRAINED
from interp_rc.training.finetune import finetune
from interp_rc.training.options import Lora
from interp_rc.training.sample import Tracing, sample
from interp_rc.training.tracer import Watch, due_steps
from tests.training.conftest import CPU, QUICK, PowerCut, cut_at, same, weights_of

HALF = Tracing(every=0.5, templates=1)


@pytest.fixture
def asked(told):
    return sample(told.queries, HALF, seed=4)


def taught(loaded, documents, checkpoints, watch=None, options=QUICK, **more):
    machine = more.pop("machine", CPU)
    loaded, _ = finetune(
        loaded,
        documents,
        options,
        machine=machine,
        seed=1,
        checkpoints=checkpoints,
        watch=watch,
        **more,
    )
    return loaded


# What is asked


def test_every_fact_is_asked_in_both_orders_right_and_shuffled(told):
    found = sample(told.queries, Tracing(templates=2), seed=4)
    counts = Counter((one.query.fact, one.query.order, one.set) for one in found)
    assert set(counts) == {
        (fact.id, order, kind)
        for fact in told.facts
        for order in ("forward", "backward")
        for kind in ("correct", "shuffled")
    }
    assert set(counts.values()) == {2}
    assert all(one.target == one.query.target for one in found if one.set == "correct")


def test_shuffled_targets_are_a_derangement_of_facts_alike_in_every_order_and_template(told):
    found = [one for one in sample(told.queries, Tracing(), seed=4) if one.set == "shuffled"]
    owner = {(q.template, q.target): q for q in told.queries}
    other = {}
    for one in found:
        whose = owner[one.query.template, one.target]
        assert whose.group == one.query.group
        assert whose.fact != one.query.fact
        assert other.setdefault(one.query.fact, whose.fact) == whose.fact
    assert sorted(other.values()) == sorted(other) == sorted(fact.id for fact in told.facts)


def test_the_seed_shuffles_and_the_same_seed_shuffles_alike(told):
    def targets(seed):
        return [one.target for one in sample(told.queries, HALF, seed)]

    assert targets(1) == targets(1)
    assert any(targets(1) != targets(seed) for seed in (2, 3, 4))


def test_a_smaller_sample_asks_about_fewer_facts_of_each_group(told):
    found = sample(told.queries, Tracing(facts=2), seed=4)
    about = {(one.query.group, one.query.fact) for one in found}
    assert Counter(group for group, _ in about) == dict.fromkeys(TRAINED, 2)


def test_groups_of_any_name_may_be_asked_in_one_order_only(told):
    queries = [replace(q, group="asked") for q in told.queries if q.order == "forward"]
    found = sample(queries, HALF, seed=4)
    assert {one.query.group for one in found} == {"asked"}
    assert len(found) == 2 * len(told.facts)


def test_facts_that_cannot_be_shuffled(told):
    one = told.facts[0].id
    with pytest.raises(DataError, match="group trained_forward, of which there are 1"):
        sample([q for q in told.queries if q.fact == one], HALF, seed=4)
    alike = [replace(q, target=" the same") for q in told.queries]
    with pytest.raises(DataError, match="some have the same target"):
        sample(alike, HALF, seed=4)


@pytest.mark.parametrize(
    ("updates", "epochs", "every", "expected"),
    [
        (14, 2, 1.0, {0, 7, 14}),
        (14, 2, 0.5, {0, 4, 7, 10, 14}),  # 3.5 and 10.5 to the even neighbour
        (14, 2, 5.0, {0, 14}),
        (10, 1, 0.3, {0, 3, 6, 9, 10}),
        (3, 3, 0.1, {0, 1, 2, 3}),
    ],
)
def test_steps_that_are_due(updates, epochs, every, expected):
    assert due_steps(updates, epochs, every) == expected


# What is written


@pytest.mark.slow
@pytest.mark.parametrize("bf16", [False, True])
def test_the_table_holds_the_scores_of_base_and_trained_model(
    fresh, asked, documents, tmp_path, bf16
):
    """In float32 at every step, also where autocast trains in bfloat16."""
    file = tmp_path / "trace.parquet"
    base = fresh()
    before = score(*base, [one.query.prompt for one in asked], [one.target for one in asked])
    machine = Machine("cpu", bf16=bf16, threads=1)
    trained = taught(base, documents, tmp_path / "c", Watch(asked, 0.5, file), machine=machine)
    trained.model.__dict__.pop("forward", None)  # autocast, which saving leaves behind
    after = score(*trained, [one.query.prompt for one in asked], [one.target for one in asked])
    table = pd.read_parquet(file)
    assert list(table.columns) == (
        "step epoch group order direction template fact set log_prob greedy".split()
    )
    assert table.step.unique().tolist() == [0, 4, 7, 10, 14]
    assert table.epoch.unique().tolist() == pytest.approx([0, 4 / 7, 1, 10 / 7, 2])
    for step, scores in ((0, before), (14, after)):
        rows = table[table.step == step]
        assert rows.log_prob.tolist() == pytest.approx(scores.log_prob.tolist(), abs=1e-4)
        assert rows.greedy.tolist() == scores.greedy.tolist()
        assert rows.fact.tolist() == [one.query.fact for one in asked]
        assert rows.set.tolist() == [one.set for one in asked]
    assert table.direction[table.group == "both"].isna().all()
    assert set(table.direction[table.group != "both"]) == {"same", "reverse"}


def test_watching_changes_not_a_bit(fresh, asked, documents, tmp_path):
    """The model here drops out, so that a generator drawn from would show."""

    def base():
        loaded = fresh("gpt2")
        for module in loaded.model.modules():
            if hasattr(module, "p"):
                module.p = 0.2
        return loaded

    plain = weights_of(taught(base(), documents, tmp_path / "a"))
    watch = Watch(asked, 0.4, tmp_path / "trace.parquet")
    assert same(weights_of(taught(base(), documents, tmp_path / "b", watch)), plain)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "lora"), [(2, None), (8, None), (6, Lora(rank=2))], ids=["begun", "cut", "lora"]
)
def test_broken_off_and_resumed_the_table_is_the_same(
    fresh, asked, documents, tmp_path, step, lora
):
    """Cut off before the first checkpoint, beyond rows that follow one, and at one."""
    options = QUICK.model_copy(update={"lora": lora})
    whole, broken = (Watch(asked, 0.3, tmp_path / f"{name}.parquet") for name in ("a", "b"))
    taught(fresh(), documents, tmp_path / "a", whole, options)
    with pytest.raises(PowerCut):
        taught(fresh(), documents, tmp_path / "b", broken, options, report=cut_at(step))
    taught(fresh(), documents, tmp_path / "b", broken, options)
    pd.testing.assert_frame_equal(pd.read_parquet(broken.file), pd.read_parquet(whole.file))


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["cut", "rows"])
def test_with_its_table_lost_it_learns_anew(fresh, asked, documents, tmp_path, damage):
    """What was said before a checkpoint cannot be asked again."""
    watch = Watch(asked, 0.5, tmp_path / "trace.parquet")
    whole = taught(fresh(), documents, tmp_path / "a", watch)
    expected = pd.read_parquet(watch.file)
    with pytest.raises(PowerCut):
        taught(fresh(), documents, tmp_path / "b", watch, report=cut_at(8))
    if damage == "cut":
        watch.file.write_bytes(watch.file.read_bytes()[:100])
    else:
        table = pd.read_parquet(watch.file)
        table[table.step != 4].to_parquet(watch.file)
    steps = []
    again = taught(
        fresh(), documents, tmp_path / "b", watch, report=lambda step, *_: steps.append(step)
    )
    assert steps[0] == 1
    assert same(weights_of(again), weights_of(whole))
    pd.testing.assert_frame_equal(pd.read_parquet(watch.file), expected)
