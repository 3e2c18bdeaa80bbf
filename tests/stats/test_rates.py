"""One rule for rates of facts: against closed forms, plain draws, and what it must never do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from interp_rc.stats.intervals import bootstrap_mean, mean_share, rate_over_seeds, t_mean
from interp_rc.stats.rates import END, MIDDLE, RISE, below, hidden_share, rate_limits, tail


def facts(hits, n=30, templates=10):
    """Rates of n facts of which the first have so many hits, one fact after another."""
    rates = np.zeros(n)
    rates[: len(hits)] = np.array(hits) / templates
    return rates


@pytest.mark.parametrize(("n", "ones"), [(2, 1), (10, 4), (31, 1), (1000, 300)])
@pytest.mark.parametrize("share", [0.001, 0.03, 0.5, 0.97])
def test_weights_of_facts_that_are_right_or_not_are_a_beta_distribution(n, ones, share):
    at = stats.beta.ppf(share, ones, n - ones)
    values, counts = np.array([0.0, 1.0]), np.array([n - ones, ones])
    assert below(at, values, np.ones(2), counts) == pytest.approx(share, abs=2e-6)


def test_the_upper_limit_is_a_quantile_of_plain_draws():
    rates = np.array([0.1, 0.4, 0.4, 0.9, 0.7, 0.2, 0.6, 0.3, 0.5, 0.8])
    weights = np.array([1.0, 2, 1, 1, 2, 2, 1, 1, 1, 2])
    draw = np.random.default_rng(0)
    seen = draw.exponential(size=(200_000, 10)) * weights / weights.mean()
    beside = draw.exponential(size=200_000)
    means = ((seen * rates).sum(1) + beside * 0.95) / (seen.sum(1) + beside)
    low, high = rate_limits(rates, weights)
    assert (means < high).mean() == pytest.approx(1 - tail(1 - high, hidden_share(10)), abs=0.002)
    assert low < (weights * rates).sum() / weights.sum() < high
    mirrored = rate_limits(1 - rates, weights)
    assert (low, high) == pytest.approx((1 - mirrored[1], 1 - mirrored[0]))


def test_none_right_has_the_exact_bound_and_more_hits_never_narrow_it():
    """0 of 300 gave [0, 11.6], 1 of 300 [0, 1.7] %: the rule must not switch."""
    found = [rate_limits(facts([1] * hits)) for hits in range(31)]
    assert found[0] == (0.0, pytest.approx(1 - 0.025 ** (1 / 30)))
    low, high = np.array(found).T
    assert (np.diff(low) > 0).all()
    assert (np.diff(high) > 0).all()
    width = high - low
    assert width[1] > width[0]
    assert width[2] > width[0]
    assert rate_limits(facts([10] * 30)) == (pytest.approx(0.025 ** (1 / 30)), 1.0)
    in_one = np.array([rate_limits(facts([hits])) for hits in range(11)])
    assert (np.diff(in_one, axis=0) > 0).all()
    assert (np.diff(in_one[:, 1] - in_one[:, 0]) > 0).all()


@pytest.mark.parametrize("hits", [([], []), ([], [1]), ([1], [1, 2]), ([10], [10] * 3)])
def test_the_pooled_interval_is_no_tighter_than_twice_the_facts_allow(hits):
    parts = [facts(some) for some in hits]
    low, high = rate_limits(np.concatenate(parts))
    each = [rate_limits(part) for part in parts]
    assert min(one[0] for one in each) <= low <= high <= max(one[1] for one in each)
    mean = np.concatenate(parts).mean()
    assert high - mean >= hidden_share(60) - mean * (1 - RISE) - 1e-12


rates_of_facts = st.lists(st.integers(0, 10), min_size=2, max_size=40).map(
    lambda hits: np.array(hits) / 10
)


@settings(max_examples=60, deadline=None)
@given(rates_of_facts, st.data())
def test_no_limit_falls_when_a_rate_rises(rates, data):
    which = data.draw(st.integers(0, len(rates) - 1))
    more = rates.copy()
    more[which] = data.draw(st.sampled_from([r for r in np.arange(11) / 10 if r >= rates[which]]))
    (low, high), (above_low, above_high) = rate_limits(rates), rate_limits(more)
    assert above_low >= low - 1e-8
    assert above_high >= high - 1e-8
    assert 0 <= low <= rates.mean() <= high <= 1


@pytest.mark.parametrize("n", [5, 10, 20, 30, 45])
def test_coverage_of_facts_that_match_or_not_is_never_below_93_percent(n):
    """Exact: the interval depends on the number of facts alone, which is binomial."""
    limits = np.array([rate_limits(facts([1] * hits, n, 1)) for hits in range(n + 1)])
    means = np.arange(1, 1000) / 1000
    holds = (limits[:, :1] <= means) & (means <= limits[:, 1:])
    shares = (stats.binom.pmf(np.arange(n + 1)[:, None], n, means) * holds).sum(0)
    assert shares.min() >= 0.93
    assert shares[50:951].mean() < 0.985


def test_what_a_limit_may_miss_grows_where_the_other_cannot():
    assert tail(0.5, 0.1) == MIDDLE
    assert tail(0.1, 0.1) == tail(0.0, 0.1) == END
    assert MIDDLE < tail(0.12, 0.1) < END


def test_every_mean_of_rates_has_the_rule_whatever_the_number_of_facts():
    for n in (2, 19, 20, 200):
        rates = facts([3, 1, 10][:n], n)
        expected = rate_limits(rates)
        for found in (t_mean(rates, "fraction"), bootstrap_mean(rates, "fraction", seed=n)):
            assert (found.low, found.high, found.n) == (*expected, n)


def test_shares_that_are_measured_have_the_bootstrap():
    shares = np.random.default_rng(0).normal(0.3, 0.01, 30)
    found = mean_share(shares, seed=0)
    assert found.unit == "fraction"
    assert 0.29 < found.low < found.high < 0.31
    low, high = rate_limits(shares)
    assert high - low > found.high - found.low


def test_rates_over_seeds_are_no_narrower_than_their_facts_allow():
    none = rate_over_seeds(np.zeros(10), 600)
    assert (none.value, none.low, none.n) == (0.0, 0.0, 10)
    assert none.high == pytest.approx(1 - 0.025 ** (1 / 600))
    few = rate_over_seeds(np.array([0.0] * 9 + [1 / 600]), 600)
    assert few.high > none.high
    assert few.high - few.low >= none.high - none.low
    spread = np.array([0.2, 0.5, 0.9])
    found = rate_over_seeds(spread, 90)
    half = stats.t.ppf(0.975, 2) * spread.std(ddof=1) / np.sqrt(3)
    assert found.low == max(0.0, spread.mean() - half)
    assert found.high == min(1.0, spread.mean() + half)
    assert rate_over_seeds(np.array([0.5]), 30).low is None
