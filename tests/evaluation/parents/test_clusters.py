"""Values in clusters: against single values, plain sums and exact bounds."""

import numpy as np
import pytest
from scipy import stats

from interp_rc.evaluation.parents.clusters import Clusters


def test_a_cluster_each_is_a_plain_mean():
    draw = np.random.default_rng(0)
    values = draw.random(300)
    found = Clusters([str(i) for i in range(300)], seed=1).mean(values)
    half = stats.t.ppf(0.975, 299) * stats.sem(values)
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_copies_of_a_value_in_its_cluster_add_nothing():
    values = np.random.default_rng(1).random(40)
    labels = [str(i) for i in range(40)]
    once = Clusters(labels, seed=1)
    often = Clusters([label for label in labels for _ in range(7)], seed=1)
    one, seven = once.mean(values), often.mean(values.repeat(7))
    assert (one.value, one.low, one.high, one.n) == pytest.approx(
        (seven.value, seven.low, seven.high, 40)
    )
    assert once.test(values - 0.5, "x").p == pytest.approx(
        often.test(values.repeat(7) - 0.5, "x").p
    )


def test_unequal_clusters_and_weights_by_hand():
    clusters = Clusters(["a", "a", "b"], seed=0, weights=[1, 1, 3])
    assert clusters.mean(np.array([1.0, 0.0, 1.0]), "x").value == pytest.approx(4 / 5)


def test_all_alike_has_exact_bounds():
    found = Clusters(["a", "a", "b", "c"], seed=0).mean(np.zeros(4))
    exact = stats.binomtest(0, 3).proportion_ci(0.95, method="exact")
    assert (found.value, found.low, found.high, found.n) == (0, 0, pytest.approx(exact.high), 3)


def test_one_cluster_has_no_interval_and_no_test():
    alone = Clusters(["a", "a"], seed=0)
    found = alone.mean(np.array([0.0, 1.0]))
    assert (found.value, found.low, found.high, found.n) == (0.5, None, None, 1)
    assert alone.test(np.ones(2), "x") is None


def test_rounding_of_differences_that_cancel_is_no_difference():
    """0.3 less 0.2 and 0.1 less 0.2 leave 2.8e-17, of every child alike: p was 0.002."""
    differences = np.tile([0.3 - 0.2, 0.1 - 0.2], 10)
    labels = [str(number // 2) for number in range(20)]
    assert Clusters(labels, 0).test(differences, "cancelled").p == 1
    assert Clusters(labels, 0).test(differences + 0.01, "more").p < 0.05
