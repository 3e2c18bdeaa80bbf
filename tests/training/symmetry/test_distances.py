"""Distances under a label: closed forms, gradients, and what exchanging the texts does to them."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interp_rc.records.errors import ModelError
from interp_rc.training.symmetry.distances import DISTANCES, RIDGE

WIDTH = 8
names = pytest.mark.parametrize("name", sorted(DISTANCES))


def draw(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def complexes(vector):
    half = len(vector) // 2
    return [complex(vector[i], vector[half + i]) for i in range(half)]


def apart_by_hand(name, hypothesis, label, premise):
    """Number by number, in plain Python."""
    h, l, p = (vector.tolist() for vector in (hypothesis, label, premise))  # noqa: E741
    if name == "rotate":
        h, l, p = complexes(h), complexes(l), complexes(p)  # noqa: E741
    moved = [x * y for x, y in zip(h, l, strict=True)]
    if name == "cosine":
        dot = sum(x * y for x, y in zip(moved, p, strict=True))
        return 1 - dot / math.hypot(*moved) / math.hypot(*p)
    return math.sqrt(sum(abs(x - y) ** 2 for x, y in zip(moved, p, strict=True)))


def implied_by_hand(name, hypothesis, premise):
    h, p = hypothesis.tolist(), premise.tolist()
    if name == "rotate":
        turns = [
            np.exp(1j * np.angle(y * x.conjugate()))
            for x, y in zip(complexes(h), complexes(p), strict=True)
        ]
        return [turn.real for turn in turns] + [turn.imag for turn in turns]
    if name == "l2":
        return [x * y / (x**2 + RIDGE / len(h)) for x, y in zip(h, p, strict=True)]
    product = [x * y for x, y in zip(h, p, strict=True)]
    return [x / math.hypot(*product) for x in product]


@names
def test_closed_forms(name):
    distance = DISTANCES[name]
    hypotheses, premises = draw(1, 3, WIDTH), draw(2, 3, WIDTH)
    labels = distance.drawn(4, WIDTH, torch.Generator().manual_seed(3)).double()
    table = distance.apart(hypotheses[:, None], labels, premises[:, None])
    by_hand = [
        [apart_by_hand(name, h, label, p) for label in labels]
        for h, p in zip(hypotheses, premises, strict=True)
    ]
    np.testing.assert_allclose(table, by_hand, atol=1e-12)
    np.testing.assert_allclose(
        distance.implied(hypotheses, premises),
        [implied_by_hand(name, h, p) for h, p in zip(hypotheses, premises, strict=True)],
        atol=1e-12,
    )


@names
def test_gradients(name):
    distance = DISTANCES[name]
    inputs = [draw(seed, 2, WIDTH).requires_grad_() for seed in range(3)]
    assert torch.autograd.gradcheck(distance.apart, inputs)
    assert torch.autograd.gradcheck(distance.implied, inputs[:2])


@names
def test_gradients_are_finite_where_nothing_is_apart(name):
    vectors = torch.zeros(2, WIDTH, requires_grad=True)
    distance = DISTANCES[name]
    distance.apart(vectors, distance.implied(vectors, vectors), vectors).sum().backward()
    assert vectors.grad.isfinite().all()


@names
def test_no_label_comes_nearer_than_the_implied_one(name):
    """Of those that the form admits; the ridge of L2 is part of what is made least."""
    distance = DISTANCES[name]
    h, p = draw(4, WIDTH), draw(5, WIDTH)
    others = distance.drawn(2000, WIDTH, torch.Generator().manual_seed(6)).double()
    cost = {
        "cosine": lambda label: -(h * label * p).sum(-1),
        "l2": lambda label: (
            distance.apart(h, label, p) ** 2 + RIDGE / WIDTH * label.square().sum(-1)
        ),
        "rotate": lambda label: distance.apart(h, label, p),
    }[name]
    implied = distance.implied(h, p)
    near = torch.cat([others, torch.nn.functional.normalize(implied + 0.01 * others, dim=-1)])
    near = others if name == "rotate" else near
    assert (cost(near) >= cost(implied) - 1e-12).all()


@given(
    angles=st.lists(
        st.sampled_from([0.0, math.pi]) | st.floats(-3, 3).filter(lambda a: abs(a) > 0.01),
        min_size=4,
        max_size=4,
    ),
    seed=st.integers(0, 2**20),
)
def test_a_rotation_is_symmetric_exactly_where_its_square_is_one(angles, seed):
    angles = torch.tensor(angles, dtype=torch.float64)
    label = torch.cat([angles.cos(), angles.sin()])
    h, p = draw(seed, 100, WIDTH), draw(seed + 1, 100, WIDTH)
    rotate = DISTANCES["rotate"]
    symmetric = torch.allclose(
        rotate.apart(h, label, p), rotate.apart(p, label, h), atol=1e-10, rtol=0
    )
    square = torch.complex(label[:4], label[4:]) ** 2
    assert symmetric == torch.allclose(square, torch.ones_like(square), atol=1e-10, rtol=0)


def test_signs_make_all_three_symmetric():
    h, p = draw(1, 50, WIDTH), draw(2, 50, WIDTH)
    signs = torch.tensor([1.0, -1, -1, 1], dtype=torch.float64)
    for name, label in (
        ("cosine", signs.repeat(2)),
        ("l2", signs.repeat(2)),
        ("rotate", torch.cat([signs, 0 * signs])),
    ):
        distance = DISTANCES[name]
        torch.testing.assert_close(distance.apart(h, label, p), distance.apart(p, label, h))


@pytest.mark.parametrize(
    ("name", "expected", "within"),
    [("cosine", 0.998, 0.004), ("l2", 0.7, 0.06), ("rotate", 0.5, 0.06)],
)
def test_how_far_one_direction_tells_the_other(name, expected, within):
    """Correlation of d(h, p) and d(p, h) over Gaussian trials. Under rotations it is one half:
    lengths vary as much as products, and random phases take the products' share away."""
    distance, trials, width = DISTANCES[name], 4000, 384
    h, p = draw(7, trials, width), draw(8, trials, width)
    label = distance.drawn(trials, width, torch.Generator().manual_seed(9)).double()
    there, back = distance.apart(h, label, p), distance.apart(p, label, h)
    assert np.corrcoef(there, back)[0, 1] == pytest.approx(expected, abs=within)


def test_drawn_rotations_have_modulus_one():
    label = DISTANCES["rotate"].drawn(5, WIDTH, torch.Generator().manual_seed(0))
    torch.testing.assert_close(label[:, :4].square() + label[:, 4:].square(), torch.ones(5, 4))


def test_an_odd_width_has_no_halves():
    with pytest.raises(ModelError, match="width 7"):
        DISTANCES["rotate"].implied(torch.ones(7), torch.ones(7))
