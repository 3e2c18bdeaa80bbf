import numpy as np
import pytest
from scipy import stats

from interp_rc.records.errors import StatsError
from interp_rc.records.numbers import Estimate
from interp_rc.stats.intervals import t_mean
from interp_rc.stats.strata import mean_of_strata


def strata_mean(strata, unit):
    return mean_of_strata([t_mean(values, unit) for values in strata])


def test_by_hand():
    # Stratum 1: mean 2, half width t(0.975, 2) / sqrt(3) = 2.484138; stratum 2: mean 5, all equal
    # but for its own half width 12.706205 / 2 * sqrt(2) * sd, sd of (4, 6) = 1.414214.
    one, other = np.array([1.0, 2.0, 3.0]), np.array([4.0, 6.0])
    half = np.sqrt(2.484138**2 + 12.706205**2) / 2
    found = strata_mean([one, other], "nat")
    assert found.value == pytest.approx(3.5)
    assert found.low == pytest.approx(3.5 - half, abs=1e-5)
    assert found.high == pytest.approx(3.5 + half, abs=1e-5)
    assert (found.n, found.unit) == (5, "nat")


def test_strata_count_the_same_and_one_alone_is_its_t_interval():
    values = np.array([0.2, 0.4, 0.9])
    assert strata_mean([np.ones(9), np.zeros(5)], "fraction").value == 0.5
    one, plain = strata_mean([values], "fraction"), t_mean(values, "fraction")
    assert one.value == pytest.approx(plain.value)
    assert (one.low, one.high) == pytest.approx((plain.low, plain.high))


def test_rates_that_are_all_equal_keep_an_interval():
    # Clopper-Pearson for 5 of 5 and 9 of 9: from 0.478176 and 0.663733.
    found = strata_mean([np.ones(5), np.ones(9)], "fraction")
    down = np.sqrt((1 - 0.478176) ** 2 + (1 - 0.663733) ** 2) / 2
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(1 - down, abs=1e-5)
    assert strata_mean([np.ones(1), np.ones(9)], "fraction").low is None


def test_nothing_to_take_the_mean_of():
    nothing = Estimate(None, None, None, 0, "nat")
    for strata in ([], [t_mean(np.ones(3), "nat"), nothing]):
        with pytest.raises(StatsError, match="no strata"):
            mean_of_strata(strata)


def test_coverage_with_unequal_strata():
    generator, simulations = np.random.default_rng(4), 600
    hits = 0
    for _ in range(simulations):
        strata = [generator.normal(1, 1, 5), generator.normal(3, 4, 9)]
        found = strata_mean(strata, "nat")
        hits += found.low <= 2 <= found.high
    assert stats.binomtest(hits, simulations, 0.95, alternative="less").pvalue > 0.001
    assert hits / simulations < 0.985  # nor does it cover everything


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.5, 0.9, 0.99])
def test_coverage_of_rates_of_relations(rate):
    """40 pairs a relation, and relations that differ much: the documented 92 % at the least."""
    generator, simulations, hits = np.random.default_rng(5), 400, 0
    for _ in range(simulations):
        strata = [
            generator.binomial(40, generator.beta(8 * rate, 8 * (1 - rate), n)) / 40 for n in (5, 9)
        ]
        found = strata_mean(strata, "fraction")
        hits += found.low <= rate <= found.high
    assert stats.binomtest(hits, simulations, 0.92, alternative="less").pvalue > 0.001
