"""What every statistic here starts from: a sample with one finite value per cluster."""

import numpy as np
from jaxtyping import Float

from interp_rc.records.errors import StatsError

ROUNDING = 1e-12
"""How far values that are equal may be apart, over the largest of them."""


def checked_sample(
    values: Float[np.ndarray, " cluster"], *, at_least: int = 1, what: str = "values"
) -> Float[np.ndarray, " cluster"]:
    """Return `values` as float64, one per cluster (fact or seed).

    Raises StatsError if the array is not one-dimensional, is shorter than `at_least`, or holds
    NaN or infinite entries.
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1:
        raise StatsError(
            f"{what}: found shape {sample.shape}; pass one value per fact or seed, "
            "so average over prompts first"
        )
    if sample.size < at_least:
        raise StatsError(
            f"{what}: found {sample.size} clusters, need at least {at_least}; add facts or seeds"
        )
    broken = np.flatnonzero(~np.isfinite(sample))
    if broken.size:
        raise StatsError(
            f"{what}: {broken.size} of {sample.size} are NaN or infinite, the first at index "
            f"{broken[0]}; repair these clusters or exclude them by a rule stated beforehand"
        )
    return sample


def checked_differences(
    first: Float[np.ndarray, " cluster"], second: Float[np.ndarray, " cluster"]
) -> Float[np.ndarray, " cluster"]:
    """Return `first - second`, cluster by cluster; StatsError if they cannot be paired.

    Differences that rounding makes of equal values are zero: a test would take them for an effect.
    """
    left = checked_sample(first, at_least=2, what="first sample")
    right = checked_sample(second, at_least=2, what="second sample")
    if left.size != right.size:
        raise StatsError(
            f"found {left.size} clusters against {right.size}; "
            "a paired test needs the same clusters in the same order"
        )
    differences: np.ndarray = left - right
    rounding = ROUNDING * np.maximum(np.abs(left).max(), np.abs(right).max())
    differences[np.abs(differences) <= rounding] = 0.0
    return differences


def checked_margin(margin: float) -> float:
    """Return `margin`; StatsError unless it is positive and finite."""
    if not (np.isfinite(margin) and margin > 0):
        raise StatsError(
            f"found margin {margin}; an equivalence margin is positive and fixed beforehand "
            "(where the model learnt nothing there is none to derive)"
        )
    return float(margin)


def is_constant(sample: Float[np.ndarray, " cluster"]) -> bool:
    """Whether all values are the same but for rounding, so that no variance can be estimated."""
    return bool(sample.std() <= ROUNDING * np.abs(sample).max())
