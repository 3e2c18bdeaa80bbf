import numpy as np
import pytest
from scipy import integrate, stats

from interp_rc.records.errors import StatsError
from interp_rc.stats.effects import cohens_d, hedges_factor, hedges_g, hedges_g_two_samples


def test_one_sample_by_hand():
    # mean 2, sd 1. J(2) = Gamma(1) / (sqrt(1) Gamma(1/2)) = 1 / sqrt(pi) = 0.564190
    values = np.array([1.0, 2, 3])
    assert cohens_d(values).value == pytest.approx(2.0)
    assert hedges_g(values).value == pytest.approx(2 * 0.564190, abs=1e-5)
    assert (hedges_g(values).n, hedges_g(values).unit) == (3, "standard deviation")


def test_two_samples_by_hand():
    # means 2 and 4, variances 1 and 4, pooled (2 * 1 + 2 * 4) / 4 = 5/2, d = -2 / sqrt(5/2).
    # J(4) = Gamma(2) / (sqrt(2) Gamma(3/2)) = 1 / (1.414214 * 0.886227) = 0.797885
    estimate = hedges_g_two_samples(np.array([1.0, 2, 3]), np.array([2.0, 4, 6]))
    assert estimate.value == pytest.approx(-2 / 2.5**0.5 * 0.797885, abs=1e-5)
    assert estimate.n == 6


def tail_below(t, df, centre):
    """P((Z + centre) / S < t) for S = sqrt(chi2 / df), by quadrature over S."""
    density = stats.chi(df, scale=df**-0.5).pdf
    value, _ = integrate.quad(lambda s: stats.norm.cdf(t * s - centre) * density(s), 0, 6)
    return value


def test_interval_ends_by_quadrature():
    values = np.array([0.3, 1.2, -0.4, 0.9, 0.7, 1.5])
    estimate, root = cohens_d(values), 6**0.5
    assert tail_below(estimate.value * root, 5, estimate.low * root) == pytest.approx(0.975)
    assert tail_below(estimate.value * root, 5, estimate.high * root) == pytest.approx(0.025)

    first, second = np.array([1.0, 2, 4]), np.array([0.0, 0.5, 1, 2, 1.5])
    estimate, t = hedges_g_two_samples(first, second), stats.ttest_ind(first, second).statistic
    per_d = (3 * 5 / 8) ** 0.5 / hedges_factor(6)
    assert estimate.value * per_d == pytest.approx(t)
    assert tail_below(t, 6, estimate.low * per_d) == pytest.approx(0.975)
    assert tail_below(t, 6, estimate.high * per_d) == pytest.approx(0.025)


def test_correction_removes_the_bias():
    samples = np.random.default_rng(0).normal(0.8, 1.0, (20_000, 5))
    d = samples.mean(axis=1) / samples.std(axis=1, ddof=1)
    error = d.std() / 20_000**0.5
    assert d.mean() > 0.8 + 10 * error
    assert hedges_factor(4) * d.mean() == pytest.approx(0.8, abs=3.3 * error)


def test_coverage_is_nominal():
    generator, simulations = np.random.default_rng(1), 500
    estimates = [cohens_d(generator.normal(0.5, 1.0, 10)) for _ in range(simulations)]
    hits = sum(e.low <= 0.5 <= e.high for e in estimates)
    assert stats.binomtest(hits, simulations, 0.95).pvalue > 0.001


def test_sign_mirrors_the_interval():
    values = np.array([0.3, 1.2, -0.4, 0.9])
    plus, minus = hedges_g(values), hedges_g(-values)
    assert (minus.value, minus.low, minus.high) == pytest.approx(
        (-plus.value, -plus.high, -plus.low)
    )


@pytest.mark.parametrize("sign", [1, -1])
def test_interval_is_continuous_where_its_method_changes(sign):
    # sd 1, n 3: t = mean * sqrt(3) crosses 10^4 between these means
    below, above = (cohens_d(np.array([-1.0, 0, 1]) + sign * mean) for mean in (5773.0, 5774.0))
    for field in ("low", "high"):
        assert getattr(below, field) / below.value == pytest.approx(
            getattr(above, field) / above.value, rel=1e-5
        )


@pytest.mark.parametrize("sign", [1, -1])
def test_interval_far_from_zero(sign):
    # Only the error of the standard deviation is left: d is off by the factor sqrt(chi2 / df).
    # With 2 degrees of freedom the quantiles of chi2 / 2 are -log(0.975) and -log(0.025).
    estimate = cohens_d(np.array([-1.0, 0, 1]) + sign * 1e9)
    ratios = sorted([estimate.low / estimate.value, estimate.high / estimate.value])
    assert ratios == pytest.approx([0.159116, 1.920646], abs=1e-5)
    assert estimate.low < estimate.value < estimate.high


def test_one_varying_sample_is_enough():
    # pooled variance (2 * 1 + 1 * 0) / 3; J(3) = Gamma(3/2) / (sqrt(3/2) Gamma(1)) = 0.723601
    estimate = hedges_g_two_samples(np.array([1.0, 2, 3]), np.zeros(2))
    assert estimate.value == pytest.approx(2 / (2 / 3) ** 0.5 * 0.723601, abs=1e-5)


def test_no_variance_no_effect_size():
    for estimate in (
        cohens_d(np.ones(4)),
        hedges_g(np.ones(4)),
        hedges_g_two_samples(np.ones(2), np.zeros(2)),
    ):
        assert (estimate.value, estimate.low, estimate.high, estimate.n) == (None, None, None, 4)


def test_too_few_values_are_errors():
    with pytest.raises(StatsError, match="need at least 2"):
        cohens_d(np.array([1.0]))
    with pytest.raises(StatsError, match="need at least 3"):
        hedges_g(np.array([1.0, 2.0]))
    with pytest.raises(StatsError, match="second sample: found 1"):
        hedges_g_two_samples(np.array([1.0, 2.0]), np.array([1.0]))
