"""Every item in one batch, bounds kept, and no text read in another way for its company."""

from itertools import pairwise
from types import SimpleNamespace

import torch
from hypothesis import given
from hypothesis import strategies as st

from interp_rc.models.batching import at_most, batch_by_length, batch_equals, pad

LENGTHS = st.lists(st.integers(1, 40), max_size=60)


def reader(limit):
    """Stands for a model that reads texts alike up to `limit` tokens."""
    rope = {"rope_type": "longrope", "original_max_position_embeddings": limit} if limit else None
    text = SimpleNamespace(rope_parameters=rope)
    return SimpleNamespace(config=SimpleNamespace(get_text_config=lambda **_: text))


def places(batches):
    return [item for batch in batches for item in batch]


@given(LENGTHS, st.integers(1, 12), st.integers(1, 120), st.none() | st.integers(1, 40))
def test_bounds_are_kept_and_nothing_is_lost(lengths, count, tokens, limit):
    def fits(some):
        assert lengths[some[-1]] == max(lengths[n] for n in some)
        return len(some) <= count and len(some) * lengths[some[-1]] <= tokens

    batches = batch_by_length(reader(limit), lengths, fits)
    every = places(batches)
    assert every == sorted(range(len(lengths)), key=lengths.__getitem__)  # stable: ties in order
    assert all(batches)
    for batch in batches:
        assert len(batch) == 1 or fits(batch)
        assert limit is None or len({lengths[n] > limit for n in batch}) == 1
    for batch, (after, *_) in pairwise(batches):  # none could be larger
        apart = limit is not None and lengths[batch[0]] <= limit < lengths[after]
        assert apart or not fits([*batch, after])


@given(LENGTHS)
def test_a_text_that_is_too_long_is_alone(lengths):
    batches = batch_by_length(reader(None), lengths, lambda some: lengths[some[-1]] <= 20)
    for n, length in enumerate(lengths):
        assert length <= 20 or [n] in batches


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=40), st.integers(1, 9))
def test_batches_of_equals(keys, count):
    batches = batch_equals(keys, at_most(count))
    assert sorted(places(batches)) == list(range(len(keys)))
    assert places(batches) == sorted(range(len(keys)), key=keys.__getitem__)
    for batch in batches:
        assert len({keys[n] for n in batch}) == 1
        assert 1 <= len(batch) <= count
    full = sum(-(-keys.count(key) // count) for key in set(keys))
    assert len(batches) == full


@given(st.lists(st.lists(st.integers(0, 9), max_size=7), min_size=1, max_size=9))
def test_padding_is_on_the_right_and_told(rows):
    ids, mask = pad(rows, value=-1)
    assert ids.dtype == mask.dtype == torch.int64
    assert ids.shape == mask.shape == (len(rows), max(map(len, rows)))
    for row, own, there in zip(rows, ids.tolist(), mask.tolist(), strict=True):
        assert own[: len(row)] == row
        assert there == [1] * len(row) + [0] * (len(own) - len(row))
        assert set(own[len(row) :]) <= {-1}
