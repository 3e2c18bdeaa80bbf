"""The bias-corrected and accelerated bootstrap interval that all our estimates share."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import stats

LEVEL = 0.95


def bca(
    sample: tuple[Float[np.ndarray, " cluster"], ...],
    statistic: Callable[..., Any],
    *,
    seed: int,
    draws: int,
) -> tuple[float | None, float | None]:
    """The limits of a statistic's 95 % interval (BCa; Efron 1987, JASA 82, 171-185).

    `statistic` takes the arrays of `sample` and an `axis`; clusters are drawn whole, with their
    values in every array. A limit is None where it is not finite: all draws are the same.
    """
    with np.errstate(invalid="ignore", divide="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        found = stats.bootstrap(
            sample,
            statistic,
            paired=len(sample) > 1,
            vectorized=True,
            confidence_level=LEVEL,
            n_resamples=draws,
            batch=500,
            method="BCa",
            rng=np.random.default_rng(seed),
        ).confidence_interval
    low, high = (float(end) if np.isfinite(end) else None for end in found)
    return low, high
