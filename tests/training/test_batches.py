"""A plan holds every document once an epoch, and is the same plan whenever it is made."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interp_rc.training.batches import IGNORED, POOL, Batches, Example, only, plan_batches

lengths = st.lists(st.integers(1, 40), min_size=1, max_size=150)
some = settings(max_examples=100, deadline=None)


@some
@given(lengths, st.integers(1, 9), st.integers(1, 3), st.integers(0, 2**32))
def test_every_epoch_holds_every_document_once(lengths, batch_size, epochs, seed):
    plan = plan_batches(lengths, batch_size=batch_size, epochs=epochs, seed=seed)
    everything = list(range(len(lengths)))
    per_epoch = -(-len(lengths) // batch_size)
    assert len(plan) == epochs * per_epoch
    for epoch in range(epochs):
        batches = plan[epoch * per_epoch : (epoch + 1) * per_epoch]
        assert sorted(index for batch in batches for index in batch) == everything
        short = [len(batch) for batch in batches if len(batch) != batch_size]
        assert len(short) <= 1


@some
@given(lengths, st.integers(1, 9), st.integers(0, 2**32))
def test_the_same_seed_gives_the_same_plan_and_more_epochs_only_add_to_it(lengths, size, seed):
    short, again, long = (
        plan_batches(lengths, batch_size=size, epochs=epochs, seed=seed) for epochs in (2, 2, 4)
    )
    assert short == again
    assert long[: len(short)] == short


def test_seeds_and_epochs_differ_in_their_order():
    plan = plan_batches([5] * 60, batch_size=4, epochs=2, seed=0)
    other = plan_batches([5] * 60, batch_size=4, epochs=2, seed=1)
    assert plan != other
    assert plan[:15] != plan[15:]


def test_documents_of_similar_length_share_a_batch():
    lengths = [1 + 7 * index % 100 for index in range(100)]
    assert len(lengths) <= 5 * POOL
    plan = plan_batches(lengths, batch_size=5, epochs=1, seed=0)
    for batch in plan:
        found = sorted(lengths[index] for index in batch)
        assert found == list(range(found[0], found[0] + 5))
    assert [min(lengths[i] for i in batch) for batch in plan] != list(range(1, 100, 5))  # shuffled


@some
@given(st.data())
def test_a_batch_is_its_documents_padded_on_the_right(data):
    pairs = st.lists(st.tuples(st.integers(0, 99), st.integers(-100, 99)), min_size=1, max_size=12)
    rows = data.draw(st.lists(pairs, min_size=1, max_size=6))
    examples = [Example([id for id, _ in row], [label for _, label in row]) for row in rows]
    batch = Batches(examples, [[0], list(range(len(rows)))[::-1]])[1]
    longest = max(map(len, rows))
    for row, found, labels, mask in zip(
        rows[::-1], *(batch[k].tolist() for k in ("input_ids", "labels", "attention_mask")),
        strict=True,
    ):  # fmt: skip
        missing = longest - len(row)
        assert found == [id for id, _ in row] + [0] * missing
        assert labels == [label for _, label in row] + [IGNORED] * missing
        assert mask == [1] * len(row) + [0] * missing


def test_the_loader_gets_whole_batches():
    batches = Batches(
        [Example([1], [1])] * 3, plan_batches([1] * 3, batch_size=2, epochs=1, seed=0)
    )
    assert len(batches) == 2
    assert only([batches[0]]) is not None
    with pytest.raises(ValueError, match="too many"):
        only([batches[0], batches[1]])
    assert Counter(batches[i]["input_ids"].shape[0] for i in range(2)) == {2: 1, 1: 1}
