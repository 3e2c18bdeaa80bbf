"""The bilinear probe against scikit-learn, relations that are known, and none at all."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, Ridge

from interp_rc.measures.bilinear.fit import crossed, fit_bilinear, judged, parts_of, ridge_map
from interp_rc.measures.bilinear.read import Sides, choose, mutual, read_all, unit
from interp_rc.records.errors import DataError
from interp_rc.tools.probing.probe_fit import right_and_z

FACTS, WIDTH = 90, 24
GROUPS = ["trained_forward"] * 30 + ["trained_backward"] * 30 + ["both"] * 30
NAME_FIRST, DESCRIPTION_FIRST, BOTH = slice(0, 30), slice(30, 60), slice(60, 90)


def drawn(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def rotation(seed):
    return np.linalg.qr(drawn(seed, WIDTH, WIDTH))[0]


def result(read, which=slice(None)):
    """Accuracy and mean z of some facts, each with the penalty that is chosen for it."""
    strength = choose([read]).strength[0]
    right, z = right_and_z(read.probe[strength, np.arange(FACTS)], GROUPS)
    return right[which].mean(), z[which].mean()


@pytest.mark.parametrize("intercept", [False, True])
def test_it_is_ridge_on_explicit_outer_products(intercept):
    """Of centred sides, which is why an intercept changes nothing."""
    left, right = (drawn(n, 12, 5) - drawn(n, 12, 5).mean(0) for n in (0, 1))
    new_left, new_right = drawn(2, 3, 5), drawn(3, 4, 5)

    def features(a, b):
        return np.einsum("ia,jb->ijab", a, b).reshape(len(a) * len(b), -1)

    products = (left @ right.T).reshape(-1, 1)
    plain = LinearRegression(fit_intercept=False).fit(products, np.eye(12).ravel())
    missing = np.eye(12).ravel() - plain.predict(products)
    found = fit_bilinear(left, right, (0.5, 20.0)).scores(new_left, new_right)
    for scores, strength in zip(found, (0.5, 20.0), strict=True):
        peer = Ridge(strength, fit_intercept=intercept).fit(features(left, right), missing)
        expected = peer.predict(features(new_left, new_right)).reshape(3, 4)
        expected += plain.coef_[0] * new_left @ new_right.T - peer.intercept_
        np.testing.assert_allclose(scores, expected, atol=1e-9)


def test_the_strongest_penalty_is_the_plain_product():
    left, right = drawn(4, 20, 6), drawn(5, 20, 6)
    [scores] = fit_bilinear(left, right, (1e12,)).scores(left, right)
    ratio = scores / (left @ right.T)
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-6)


def test_ridge_maps_against_scikit_learn_also_one_after_the_other():
    known, wanted, given = drawn(6, 30, 40), drawn(7, 30, 40), drawn(8, 5, 40)
    strengths = (0.3, 30.0)
    there = ridge_map(known, wanted, given, strengths)
    again = ridge_map(wanted, known, there, strengths)
    for n, strength in enumerate(strengths):
        first = Ridge(strength, fit_intercept=False).fit(known, wanted)
        second = Ridge(strength, fit_intercept=False).fit(wanted, known)
        np.testing.assert_allclose(there[n], first.predict(given), atol=1e-9)
        np.testing.assert_allclose(again[n], second.predict(first.predict(given)), atol=1e-9)


def test_no_fact_is_scored_with_a_candidate_by_a_fit_that_knew_either():
    pool = np.arange(75)
    seen = []

    def score(training, read):
        seen.append((set(training.tolist()), set(read.tolist())))
        scores = np.full((len(read), len(read)), float(len(seen)))
        return scores

    found = crossed(score, GROUPS, pool, seed=3)
    assert not found[75:].any()
    assert not found[:, 75:].any()
    for one in range(75):
        for other in range(75):
            training, read = seen[int(found[one, other]) - 1]
            assert {one, other} <= read
            assert not training & read
            assert training | read == set(range(75))
    sizes = {len(training) for training, _ in seen}
    assert max(sizes) - min(sizes) <= 2


def test_parts_are_even_overall_and_within_groups():
    groups = ["a"] * 4 + ["b"] * 4 + ["c"] * 5
    part = parts_of(groups, np.arange(12), 6, seed=0)
    assert part[12] == -1
    assert np.bincount(part[:12]).tolist() == [2] * 6
    assert len(set(part[:4])) == 4
    with pytest.raises(DataError, match="fewer than two facts"):
        crossed(lambda training, read: np.zeros((1, 1)), groups, np.arange(1), 0)


def test_what_chooses_for_a_fact_never_saw_it():
    """The judges of each half are fitted on that half alone."""
    half, seen = parts_of(GROUPS, np.arange(60), 2, seed=0), []

    def score(training, read):
        seen.append({int(half[i]) for i in (*training, *read)})
        return np.ones((4, len(read), len(read)))

    assert judged(score, GROUPS, half, 0).shape == (4, FACTS)
    assert {0} in seen
    assert {1} in seen
    assert {0, 1} not in seen
    sides = Sides(*drawn(9, 4, FACTS, WIDTH))
    read = mutual(sides, GROUPS, 0)
    best = choose([read, read._replace(judge=read.judge + 1)])
    assert (best.layer == 1).all()
    for fact in (0, 50, 89):
        others = read.half != read.half[fact]
        assert best.strength[0, fact] == read.judge[:, others].mean(1).argmax()


def test_of_an_orthogonal_relation_the_transpose_reads_the_other_direction():
    turn = rotation(0)
    a = drawn(10, FACTS, WIDTH)
    b = a @ turn
    sides = Sides(a, b, a, b)  # both are written where they are read
    found = read_all(sides, GROUPS, 0)
    plain = right_and_z(found["mutual"].plain, GROUPS)[0].mean()
    assert plain < 0.15
    for what in found:
        assert result(found[what])[0] > 0.8, what
    mixed = sides.labelled(np.r_[drawn(1, 30).argsort(), 30 + drawn(2, 30).argsort(),
                                 60 + drawn(3, 30).argsort()])  # fmt: skip
    for what, read in read_all(mixed, GROUPS, 0).items():
        assert result(read)[0] < 0.15, what


def test_of_two_unrelated_maps_the_transpose_reads_nothing():
    """What A's stream holds of B is no hint of how B's stream holds A."""
    a, b = drawn(11, 2, FACTS, WIDTH)
    sides = Sides(a, b, b @ drawn(12, WIDTH, WIDTH), a @ drawn(13, WIDTH, WIDTH))
    found = read_all(sides, GROUPS, 0)
    assert result(found["forward"])[0] > 0.8
    assert result(found["backward"])[0] > 0.8
    for what in ("transposed_forward", "transposed_backward", "mutual"):
        accuracy, z = result(found[what])
        assert accuracy < 0.12, what
        assert abs(z) < 0.4, what


def test_what_is_not_orthogonal_returns_by_its_own_inverse():
    """A matrix that stretches by 1 to 10; another one as the way back does not return."""
    there = rotation(1) * np.geomspace(1, 10, WIDTH) @ rotation(2)
    a = drawn(14, FACTS, WIDTH)
    found = read_all(Sides(a, a @ there, a, a @ there), GROUPS, 0)
    for order in ("forward", "backward"):
        assert result(found[f"return_{order}"])[0] > 0.8
    elsewhere = unit(a @ there @ rotation(5)) @ unit(a).T
    assert right_and_z(elsewhere, GROUPS)[0].mean() < 0.12


def test_two_maps_of_the_same_facts_would_return_anything():
    """Why each is fitted on its own part: here A and B have nothing to do with each other."""
    a, b = drawn(15, 2, FACTS, 128)
    training, read = np.arange(60), np.arange(60, 90)
    there = ridge_map(a[training], b[training], a[read], (0.1,))
    same = ridge_map(b[training], a[training], there, (0.1,))[0] @ unit(a[read]).T
    assert right_and_z(same, ["both"] * 30)[0].mean() > 0.9
    found = read_all(Sides(a, b, a, b), GROUPS, 0)
    assert result(found["return_forward"])[0] < 0.12


def test_only_what_is_read_may_know():
    """B's stream holds A for facts told in both; A's stream holds nothing."""
    a, b, a_vectors, b_vectors = drawn(16, 4, FACTS, WIDTH)
    told = [*range(30, 90)]
    b[told] = (a_vectors @ rotation(3))[told] + 0.2 * b[told]
    found = read_all(Sides(a, b, a_vectors, b_vectors), GROUPS, 0)
    assert result(found["backward"], BOTH)[0] > 0.6
    assert result(found["backward"], DESCRIPTION_FIRST)[0] > 0.6
    assert result(found["backward"], NAME_FIRST)[0] < 0.15  # never fitted on, and unknowing
    assert result(found["forward"])[0] < 0.12


def test_rounding_is_not_taken_for_knowledge():
    """Where all prompts end alike, streams differ by the last bits only."""
    a, b = drawn(17, 2, FACTS, WIDTH)
    a = np.ones_like(a) + 1e-7 * a
    found = read_all(Sides(a, b, a, b), GROUPS, 0)
    assert (found["mutual"].probe == 0).all()


@pytest.mark.slow
def test_error_rate_where_there_is_nothing():
    """Over many draws: choice at chance, z at zero, and one-sided tests of 5 % at about that."""
    z, right = [], []
    for seed in range(40):
        found = read_all(Sides(*drawn(100 + seed, 4, FACTS, WIDTH)), GROUPS, seed)
        for what in ("mutual", "forward", "backward", "transposed_forward", "return_forward"):
            strength = choose([found[what]]).strength[0]
            one = right_and_z(found[what].probe[strength, np.arange(FACTS)], GROUPS)
            right.append(one[0].mean())
            z.append(one[1].reshape(3, 30))
    z = np.array(z)
    assert np.mean(right) == pytest.approx(1 / 30, abs=0.006)
    assert z.mean() == pytest.approx(0, abs=0.03)
    t = z.mean(-1) / (z.std(-1, ddof=1) / np.sqrt(30))
    assert (t > 1.699).mean() < 0.10
