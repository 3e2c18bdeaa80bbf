"""Means and tests of values that come several to a cluster, clusters being what is independent."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from interp_rc.records.numbers import Estimate, Test
from interp_rc.stats.differences import sign_flip
from interp_rc.stats.intervals import RATE, bootstrap_mean
from interp_rc.stats.rates import rate_limits
from interp_rc.stats.ratios import ratio_of_means
from interp_rc.stats.samples import ROUNDING, is_constant


class Clusters:
    """The cluster of every value, and its weight; intervals come from clusters resampled whole."""

    def __init__(
        self, labels: Sequence[str], seed: int, weights: Sequence[int] | None = None
    ) -> None:
        self.seed = seed
        self.weights = np.ones(len(labels)) if weights is None else np.array(weights, dtype=float)
        self.of = np.unique(labels, return_inverse=True)[1]

    def mean(self, values: Float[np.ndarray, " value"], unit: str = RATE) -> Estimate:
        """Over values; `n` counts clusters. A cluster counts as its values' weights do; rates have
        the limits of `rate_limits`."""
        sums, counts = self._sums(values), np.bincount(self.of, self.weights)
        whole = float(sums.sum() / counts.sum())
        if len(sums) < 2:
            return Estimate(whole, None, None, len(sums), unit)
        rates = sums / counts
        if unit == RATE:
            return Estimate(whole, *rate_limits(rates.clip(0, 1), counts), len(sums), unit)
        if is_constant(rates):
            return bootstrap_mean(rates, unit, seed=self.seed)
        found = ratio_of_means(sums, counts, seed=self.seed)
        return Estimate(whole, found.low, found.high, found.n, unit)

    def test(self, differences: Float[np.ndarray, " value"], name: str) -> Test | None:
        """Are they zero in the mean? By flipping the sign of each cluster's sum; None for one
        cluster alone. What rounding leaves of differences that cancel is zero."""
        sums = self._sums(differences)
        sums[np.abs(sums) <= ROUNDING * self._sums(np.abs(differences)).max()] = 0.0
        return sign_flip(sums, name=name, seed=self.seed) if len(sums) > 1 else None

    def _sums(self, values: Float[np.ndarray, " value"]) -> Float[np.ndarray, " cluster"]:
        found: np.ndarray = np.bincount(self.of, self.weights * values)
        return found
