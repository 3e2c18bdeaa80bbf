"""Ratios of sums: SciPy's own mean where clusters are alike, coverage where they are not."""

import numpy as np
import pytest

from interp_rc.records.errors import StatsError
from interp_rc.stats.intervals import bootstrap_mean
from interp_rc.stats.ratios import bootstrap_ratio


def test_equal_clusters_are_a_plain_mean():
    values = np.random.default_rng(0).random(40)
    ratio = bootstrap_ratio(2 * values, np.full(40, 2.0), "fraction", seed=1)
    mean = bootstrap_mean(values, "fraction", seed=1)
    assert ratio.value == pytest.approx(mean.value)
    assert ratio.low == pytest.approx(mean.low, abs=0.02)
    assert ratio.high == pytest.approx(mean.high, abs=0.02)


def test_items_weigh_alike_whatever_cluster_they_are_in():
    found = bootstrap_ratio(np.array([3.0, 0.0]), np.array([3.0, 1.0]), "fraction", seed=0)
    assert (found.value, found.low, found.n) == (0.75, None, 2)


def test_intervals_cover_where_clusters_are_unlike():
    draw = np.random.default_rng(5)
    covered = []
    for _ in range(120):
        counts = draw.integers(1, 4, size=80).astype(float)
        rates = draw.beta(1, 2, size=80)
        sums = draw.binomial(counts.astype(int), rates).astype(float)
        found = bootstrap_ratio(sums, counts, "fraction", seed=0, draws=300)
        covered.append(found.low <= 1 / 3 <= found.high)
    assert np.mean(covered) > 0.88


@pytest.mark.parametrize(
    ("sums", "counts", "message"),
    [([1.0], [1.0, 1.0], "1 sums and 2 counts"), ([1.0], [0.0], "count of 0"), ([], [], "found 0")],
)
def test_bad_input(sums, counts, message):
    with pytest.raises(StatsError, match=message):
        bootstrap_ratio(np.array(sums), np.array(counts), "nat", seed=0)
