from itertools import permutations

import numpy as np
import pytest
from scipy import stats

from interp_rc.records.errors import StatsError
from interp_rc.stats.candidates import label_permutation


def perfect(facts, templates=2):
    """[fact, template, candidate], the right candidate always best."""
    return np.repeat(np.eye(facts)[:, None, :], templates, axis=1)


def agrees(p, exact, draws=10_000):
    """Whether a Monte Carlo p is within four standard errors, and the +1, of the exact one."""
    return abs(p - exact) < 4 * (exact * (1 - exact) / draws) ** 0.5 + 1 / draws


def test_perfect_answers_by_hand():
    # All 5 right; only the identity among 120 permutations does as well.
    test, chance = label_permutation([perfect(5)], name="name", seed=0)
    assert (test.name, test.n) == ("name", 5)
    assert test.test == "label permutation, greater, 10000 draws"
    assert test.statistic == 1.0
    assert agrees(test.p, 1 / 120)
    assert chance == pytest.approx(1 / 5)


def test_p_is_never_zero():
    # None of 99 draws is the identity among 20! permutations.
    test, _ = label_permutation([perfect(20)], name="x", seed=0, draws=99)
    assert test.p == pytest.approx(1 / 100)


def test_seeds_are_tested_jointly():
    # Both seeds all right happens in one of 4! * 4! permutations.
    test, chance = label_permutation([perfect(4), perfect(4)], name="x", seed=0)
    assert test.n == 8
    assert agrees(test.p, 1 / 576)
    assert chance == pytest.approx(1 / 4)


def test_each_seed_counts_the_same():
    wrong = -perfect(8)  # the right candidate is worst, and the other seven share the credit
    test, chance = label_permutation([perfect(2), wrong], name="x", seed=0)
    assert test.statistic == pytest.approx((1 + 0) / 2)
    assert chance == pytest.approx((1 / 2 + 1 / 8) / 2)


def test_ties_share_the_credit():
    # fact 0: a tie, 1/2; fact 1: right, 1. Swapped: 1/2 and 0. Half the draws do as well.
    scores = np.array([[[1.0, 1.0]], [[0.0, 1.0]]])
    test, chance = label_permutation([scores], name="x", seed=0)
    assert test.statistic == pytest.approx(0.75)
    assert agrees(test.p, 1 / 2)
    assert chance == pytest.approx(1 / 2)


def test_indifferent_model_is_at_chance():
    test, chance = label_permutation([np.zeros((3, 4, 3))], name="x", seed=0)
    assert test.statistic == pytest.approx(chance) == pytest.approx(1 / 3)
    assert test.p == 1.0


def test_favourite_candidate_gains_nothing():
    scores = np.random.default_rng(0).random((6, 3, 6))
    scores[:, :, 2] += 10
    test, chance = label_permutation([scores], name="x", seed=0)
    assert test.statistic == pytest.approx(chance) == pytest.approx(1 / 6)
    assert test.p == 1.0


def test_candidates_beyond_the_facts_are_right_for_none():
    # Fact 0 is right in one of two templates, where not, the extra candidate 2 is best.
    scores = np.array([[[1.0, 0, 0], [0, 0, 1]], [[0, 0, 1], [0, 0, 1]]])
    test, chance = label_permutation([scores], name="x", seed=0)
    assert test.statistic == pytest.approx(1 / 4)
    assert chance == pytest.approx(1 / 8)  # swapped, nothing is right


def test_against_every_permutation():
    scores = np.random.default_rng(1).random((5, 3, 5)) + 0.5 * perfect(5, 3)
    accuracies = []
    for labels in permutations(range(5)):
        right = [
            max(range(5), key=lambda c: scores[i, t, c]) == labels[i]
            for i in range(5)
            for t in range(3)
        ]
        accuracies.append(sum(right) / 15)
    test, chance = label_permutation([scores], name="x", seed=0)
    assert test.statistic == pytest.approx(accuracies[0])
    assert agrees(test.p, sum(a >= accuracies[0] - 1e-12 for a in accuracies) / 120)
    assert 0.001 < test.p < 0.5
    assert chance == pytest.approx(np.mean(accuracies))


def test_rejects_true_nulls_at_most_at_its_level():
    """Templates of a fact agree and some candidates are favourites: the unit is the fact."""
    generator, simulations = np.random.default_rng(2), 400
    rejected = 0
    for seed in range(simulations):
        scores = generator.normal(size=(12, 1, 12)) + generator.normal(size=12)
        scores = scores + 0.1 * generator.normal(size=(12, 5, 12))
        rejected += label_permutation([scores], name="null", seed=seed, draws=99)[0].p <= 0.05
    assert stats.binomtest(rejected, simulations, 0.05, alternative="greater").pvalue > 0.001
    assert rejected > 0


def test_finds_a_weak_association():
    scores = np.random.default_rng(3).normal(size=(30, 5, 30)) + perfect(30, 5)
    test, chance = label_permutation([scores], name="x", seed=0, draws=999)
    assert chance < test.statistic < 0.5
    assert test.p < 0.01


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([], "found no candidate scores"),
        (np.zeros((3, 1, 3)), r"shape \(1, 3\); pass a list"),
        ([np.zeros((1, 2, 1))], "at least two facts"),
        ([np.zeros((3, 0, 3))], "one template"),
        ([np.zeros((3, 2, 2))], "2 candidates for 3 facts"),
        ([np.full((2, 1, 2), np.nan)], "NaN or infinite"),
    ],
)
def test_unusable_scores_are_errors(scores, message):
    with pytest.raises(StatsError, match=message):
        label_permutation(scores, name="x", seed=0)
