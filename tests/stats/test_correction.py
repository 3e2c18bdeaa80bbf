import gc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from interp_rc.records.errors import StatsError
from interp_rc.records.numbers import Test
from interp_rc.stats.correction import benjamini_hochberg, holm


@pytest.fixture(autouse=True, scope="module")
def _no_garbage_collection():
    """statsmodels' Holm collects garbage at every call, which takes longer than all else here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gc, "collect", lambda: 0)
        yield


p_values = st.lists(st.floats(0, 1), min_size=1, max_size=15)


def with_p(values):
    return [Test(f"t{i}", "t", 1.0, p, None, None, None, 9) for i, p in enumerate(values)]


def adjusted(method, values):
    return [test.p_adjusted for test in method(with_p(values))]


def test_by_hand():
    # Holm: 3 * 0.01, 2 * 0.03, and 0.04 raised to the one before.
    assert adjusted(holm, [0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    # Benjamini-Hochberg: 0.01 * 3/1, 0.03 * 3/2 lowered to the next, 0.04 * 3/3.
    assert adjusted(benjamini_hochberg, [0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.04, 0.04])


@pytest.mark.parametrize(
    ("method", "label"), [(holm, "holm"), (benjamini_hochberg, "benjamini-hochberg")]
)
def test_tests_without_p_do_not_count(method, label):
    first, without, second = with_p([0.01, None, 0.04])
    result = method([first, without, second])
    assert result[1] == without
    pair = method([first, second])
    assert [result[0], result[2]] == pair
    assert result[0] == replace(first, p_adjusted=pytest.approx(0.02), correction=label)
    assert method([]) == []
    assert method([without]) == [without]


def test_impossible_p_is_an_error():
    for p in (-0.1, 1.1, float("nan")):
        with pytest.raises(StatsError, match="'t1' has p"):
            holm(with_p([0.5, p]))


@given(p_values)
def test_against_plain_loops(values):
    m, order = len(values), sorted(range(len(values)), key=values.__getitem__)
    expected_holm, expected_bh, highest, lowest = [0.0] * m, [0.0] * m, 0.0, 1.0
    for rank, i in enumerate(order):
        highest = max(highest, (m - rank) * values[i])
        expected_holm[i] = min(1.0, highest)
    for rank, i in reversed(list(enumerate(order))):
        lowest = min(lowest, values[i] * m / (rank + 1))
        expected_bh[i] = lowest
    assert adjusted(holm, values) == pytest.approx(expected_holm)
    assert adjusted(benjamini_hochberg, values) == pytest.approx(expected_bh)


@given(p_values, st.randoms(use_true_random=False))
def test_laws(values, random):
    by_holm, by_bh = adjusted(holm, values), adjusted(benjamini_hochberg, values)
    for p, bh, strict in zip(values, by_bh, by_holm, strict=True):
        assert p - 1e-12 <= bh <= strict + 1e-12 <= 1 + 2e-12
    order = np.argsort(values, kind="stable")
    for result in (by_holm, by_bh):
        assert (np.diff(np.array(result)[order]) >= -1e-12).all()  # the order of p is kept
    shuffled = random.sample(range(len(values)), len(values))
    assert adjusted(holm, [values[i] for i in shuffled]) == pytest.approx(
        [by_holm[i] for i in shuffled]
    )


@given(p_values, st.integers(0, 14), st.floats(0, 1))
def test_a_smaller_p_lowers_no_other_rejection(values, which, factor):
    lowered = list(values)
    lowered[which % len(values)] *= factor
    for before, after in zip(
        adjusted(benjamini_hochberg, values), adjusted(benjamini_hochberg, lowered), strict=True
    ):
        assert after <= before + 1e-12


def test_error_rates():
    """Ten true nulls among twenty independent tests.

    Benjamini and Hochberg's false discovery rate is then exactly 0.05 * 10 / 20.
    Holm's chance of any false rejection is at most 0.05.
    """
    generator, simulations = np.random.default_rng(0), 1000
    false_shares, any_false = [], 0
    for _ in range(simulations):
        p = np.concatenate([generator.random(10), generator.beta(0.1, 5, 10)])
        rejected = np.array(adjusted(benjamini_hochberg, p.tolist())) <= 0.05
        false_shares.append(rejected[:10].sum() / max(1, rejected.sum()))
        any_false += min(adjusted(holm, p.tolist())[:10]) <= 0.05
    error = np.std(false_shares) / simulations**0.5
    assert np.mean(false_shares) == pytest.approx(0.025, abs=3.3 * error)
    assert stats.binomtest(any_false, simulations, 0.05, alternative="greater").pvalue > 0.001
    assert any_false > 0
