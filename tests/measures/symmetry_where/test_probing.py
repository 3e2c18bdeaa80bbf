"""Probes: against scikit-learn, and on an encoder in which the class has a known place."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from interp_rc.facts.relations import relations
from interp_rc.measures.symmetry_where.asked import PLACES, class_of
from interp_rc.measures.symmetry_where.estimates import balanced, probe_estimates
from interp_rc.measures.symmetry_where.logistic import scores
from interp_rc.measures.symmetry_where.probing import Fits, permutation_test, probed, read_states
from tests.measures.symmetry_where.planted import (
    LAYERS,
    WRITES,
    one_token_each,
    pairs_of,
    planted,
)


@pytest.fixture(scope="module")
def found():
    encoder, _ = planted(seed=100)
    pairs = pairs_of(4)
    assert all(one_token_each(encoder, pair) for mine in pairs.values() for pair in mine)
    return probed(read_states(encoder, pairs, 16), list(pairs), 3, 100)


def test_fits_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(30, 50)) + np.repeat(rng.normal(size=(6, 50)), 5, 0)
    labels = rng.random((4, 30)) < 0.3
    trained = rng.random((4, 30)) < 0.7
    ours = scores(rows, labels, trained)
    scaled = rows - rows.mean(0)
    scaled /= np.sqrt(np.square(scaled).mean())
    for mine, y, used in zip(ours, labels, trained, strict=True):
        theirs = LogisticRegression(class_weight="balanced", tol=1e-8, max_iter=1000)
        theirs.fit(scaled[used], y[used])
        np.testing.assert_allclose(mine, theirs.decision_function(scaled), atol=1e-3)


def test_the_class_is_found_where_it_was_written_and_nowhere_else(found):
    mean = {
        key: balanced(rows).value
        for key, rows in found[found.labels == "true"].groupby(["place", "layer"])
    }
    assert len(mean) == len(PLACES) * (LAYERS + 1)
    for (place, layer), value in mean.items():
        if place in ("relation", "whole") and layer >= WRITES:
            assert value == 1, (place, layer)
        else:
            assert value < 0.75, (place, layer)


def test_looking_relations_up_needs_no_class(found):
    """What a relation's word is tells the class of known relations before it is written."""
    looked = found[(found.labels == "looked_up") & (found.place == "relation")]
    assert (looked.value == 1).all()


def test_permuted_classes_are_not_found(found):
    estimates = probe_estimates(found.assign(encoder="planted"))
    for layer in range(LAYERS + 1):
        chance = estimates[f"symmetry_where.probe.planted.relation.layer_{layer}.permuted"]
        assert 0.2 < chance.value < 0.7
        assert chance.low <= chance.value <= chance.high
        assert chance.n == 3


def test_no_relation_is_read_by_a_probe_that_was_trained_on_it():
    names = list(relations())
    fits = Fits(names, 4, 2, seed=1)
    assert len(fits.folds) == 3 * 5 * 9
    for (number, symmetric, other), used in zip(fits.folds, fits.trained[2:], strict=True):
        classes = fits.classes[number]
        assert classes[symmetric]
        assert not classes[other]
        assert set(np.flatnonzero(~used) // 4) == {symmetric, other}
    assert [sum(classes) for classes in fits.classes] == [5, 5, 5]
    assert fits.classes[0] == [class_of(name) == "symmetric" for name in names]
    assert (fits.trained[0] ^ fits.trained[1]).all()


def test_each_relation_is_read_as_a_plain_loop_reads_it():
    names = list(relations())
    rng = np.random.default_rng(3)
    rows = np.repeat(rng.normal(size=(14, 8)), 2, 0) + rng.normal(size=(28, 8))
    table = Fits(names, 2, 0, seed=1).table(rows)
    true = np.repeat([class_of(name) == "symmetric" for name in names], 2)
    of = np.repeat(np.arange(14), 2)
    scaled = rows - rows.mean(0)
    scaled /= np.sqrt(np.square(scaled).mean())
    for n in (0, 4, 5, 13):
        right = []
        for partner in range(14):
            if true[2 * partner] != true[2 * n]:
                used = (of != n) & (of != partner)
                probe = LogisticRegression(class_weight="balanced", tol=1e-8, max_iter=1000)
                said = probe.fit(scaled[used], true[used]).predict(scaled[of == n])
                right += list(said == true[of == n])
        mine = table[(table.labels == "true") & (table.relation == names[n])].value.item()
        assert mine == pytest.approx(np.mean(right))


@pytest.mark.parametrize(("apart", "least", "most"), [(3.0, 0, 0.05), (0.0, 0.1, 1)])
def test_a_class_that_is_there_is_told_from_permuted_ones(apart, least, most):
    names = list(relations())
    draw = torch.Generator().manual_seed(100)
    of_class = torch.tensor([1.0 if class_of(name) == "symmetric" else -1.0 for name in names])
    states = torch.randn(14, 20, generator=draw)
    states[:, 0] += apart * of_class
    states = states.repeat_interleave(2, 0)
    test = permutation_test(states, names, 39, 100, name="a.b")
    assert least <= test.p <= most
    assert test.n == 14
    again = permutation_test(states, names, 39, 100, name="a.b")
    assert again == test


def test_p_counts_the_true_classes_among_the_draws():
    """As many draws as are asked for, and the truth: p is at least one of them."""
    states = torch.zeros(28, 4)
    states[:10] = 5.0  # the symmetric relations come first
    test = permutation_test(states, list(relations()), 19, 100, name="a.b")
    assert test.statistic == 1
    assert test.p == pytest.approx(1 / 20)
