import numpy as np
import pytest

from interp_rc.records.errors import StatsError
from interp_rc.stats.samples import (
    checked_differences,
    checked_margin,
    checked_sample,
    is_constant,
)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "found 0 clusters, need at least 2"),
        ([1.0], "found 1 clusters, need at least 2"),
        ([1.0, np.nan, np.inf], "2 of 3 are NaN or infinite, the first at index 1"),
        ([1.0, None], "1 of 2 are NaN"),
        ([[1.0, 2.0]], r"found shape \(1, 2\).*average over prompts"),
    ],
)
def test_unusable_samples_are_named(values, message):
    with pytest.raises(StatsError, match=message):
        checked_sample(values, at_least=2)


def test_sample_becomes_float64():
    sample = checked_sample(np.array([1, 2], dtype=np.float16))
    assert sample.dtype == np.float64
    assert sample.tolist() == [1.0, 2.0]


def test_differences_need_pairs():
    first, second = np.array([3.0, 1.0]), np.array([1.0, 2.0])
    assert checked_differences(first, second).tolist() == [2.0, -1.0]
    with pytest.raises(StatsError, match="2 clusters against 3"):
        checked_differences(first, np.array([1.0, 2.0, 3.0]))


@pytest.mark.parametrize("margin", [0.0, -0.1, float("nan"), float("inf")])
def test_margin_must_be_positive(margin):
    with pytest.raises(StatsError, match="margin"):
        checked_margin(margin)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.0], True),
        ([0.1 + 0.2, 0.3], True),  # differ by rounding only
        ([5.0], True),
        ([0.0, 1e-9], False),  # small, but not beside the other values
        ([1.0, 1.0 + 1e-9], False),
    ],
)
def test_constant_but_for_rounding(values, expected):
    assert is_constant(np.array(values)) is expected
