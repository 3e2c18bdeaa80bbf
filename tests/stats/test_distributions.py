from itertools import combinations
from math import comb

import numpy as np
import pytest
from scipy import stats

from interp_rc.records.errors import StatsError
from interp_rc.stats.distributions import two_sample_ks


def test_separate_samples_by_hand():
    # Distance 1 happens in 2 of the C(6, 3) = 20 ways to split six values.
    test = two_sample_ks(np.array([1.0, 2, 3]), np.array([4.0, 5, 6]), name="shift")
    assert (test.name, test.test, test.n) == ("shift", "two-sample KS, exact", 6)
    assert test.statistic == pytest.approx(1.0)
    assert test.p == pytest.approx(0.1)


def distance(first, second):
    return max(
        abs(sum(v <= x for v in first) / len(first) - sum(v <= x for v in second) / len(second))
        for x in [*first, *second]
    )


def test_against_every_split():
    values = np.random.default_rng(0).normal(size=9)
    first, second = values[:4], values[4:] + 0.8
    pooled = [*first, *second]
    observed = distance(first, second)
    splits = [
        distance([pooled[i] for i in chosen], [pooled[i] for i in range(9) if i not in chosen])
        for chosen in combinations(range(9), 4)
    ]
    test = two_sample_ks(first, second, name="x")
    assert test.statistic == pytest.approx(observed)
    assert test.p == pytest.approx(sum(d >= observed - 1e-12 for d in splits) / len(splits))


def test_only_ranks_matter():
    generator = np.random.default_rng(1)
    first, second = generator.normal(size=12), generator.normal(1, 1, size=15)
    test = two_sample_ks(first, second, name="x")
    assert two_sample_ks(np.exp(first), np.exp(second), name="x") == test
    assert test.p < 1


@pytest.mark.parametrize("tied", [False, True])
def test_rejects_true_nulls_at_most_at_its_level(tied):
    generator, simulations = np.random.default_rng(2), 1000
    rejected = 0
    for _ in range(simulations):
        first, second = generator.normal(size=(2, 30))
        if tied:
            first, second = np.round(first), np.round(second)
        rejected += two_sample_ks(first, second, name="null").p <= 0.05
    assert stats.binomtest(rejected, simulations, 0.05, alternative="greater").pvalue > 0.001
    if not tied:
        # P(distance >= 11 / 30) by counting lattice paths (reflection principle):
        # 2 sum_k (-1)^(k+1) C(60, 30 - 11k) / C(60, 30)
        level = 2 * (comb(60, 19) - comb(60, 8)) / comb(60, 30)
        assert stats.binomtest(rejected, simulations, level).pvalue > 0.001


def test_asymptotic_p_says_so():
    large = two_sample_ks(np.arange(50_000.0), np.arange(49_999.0), name="x")
    assert large.test == "two-sample KS, asymptotic"
    assert large.p == pytest.approx(1.0)
    # One value of 30 moved: SciPy's exact p comes out above 1 and is not used.
    moved = two_sample_ks(np.arange(30.0), np.array([99.0, *range(1, 30)]), name="x")
    assert moved.statistic == pytest.approx(1 / 30)
    assert moved.p == pytest.approx(1.0)


def test_empty_sample_is_an_error():
    with pytest.raises(StatsError, match="second sample: found 0"):
        two_sample_ks(np.array([1.0]), np.array([]), name="x")
