"""What a bilinear probe, its transpose and two maps in a row read of one layer and place."""

from collections.abc import Sequence
from functools import partial
from typing import Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Float, Int

from interp_rc.measures.bilinear.fit import (
    Crossed,
    crossed,
    fit_bilinear,
    judged,
    parts_of,
    ridge_map,
    to_size,
)
from interp_rc.records.nouns import ORDERS, TOLD_OTHERWISE, Group, Order
from interp_rc.tools.probing.probe_fit import Facts, Scores, Vectors, centred

What = Literal[
    "mutual",
    "forward",
    "backward",
    "transposed_forward",
    "transposed_backward",
    "return_forward",
    "return_backward",
]
WHATS: tuple[What, ...] = get_args(What)
ROUNDING = 1e-5  # of the largest value: of float32, added up over layers
OTHER: dict[Order, Order] = {"forward": "backward", "backward": "forward"}


class Sides(NamedTuple):
    """Of each fact: streams where A is read and where B is, and the output vectors of both."""

    a: Vectors
    b: Vectors
    a_vectors: Vectors
    b_vectors: Vectors

    def labelled(self, labels: Facts) -> "Sides":
        """Fact i has the A of fact i and the B of fact `labels[i]`."""
        return Sides(self.a, self.b[labels], self.a_vectors, self.b_vectors[labels])


class Read(NamedTuple):
    """Scores by the probe with each penalty, and by the plain product of the same vectors (none
    for a return). `judge` is what penalty and layer are chosen by: the z of each fact that was
    fitted on, by fits on its own `half` of them (-1: never fitted on)."""

    probe: Float[np.ndarray, "strength fact candidate"]
    plain: Scores | None
    judge: Float[np.ndarray, "strength fact"]
    half: Int[np.ndarray, " fact"]


def pool_of(groups: Sequence[Group], order: Order) -> Facts:
    """Facts told in that order, or in both."""
    return np.array([i for i, s in enumerate(groups) if s != TOLD_OTHERWISE[order]])


def read_all(sides: Sides, groups: Sequence[Group], seed: int) -> dict[What, Read]:
    """Every question that is asked of one layer and place."""
    found = {"mutual": mutual(sides, groups, seed)}
    for order in ORDERS:
        found[order], found[f"transposed_{OTHER[order]}"] = directed(sides, groups, order, seed)
    found["return_forward"], found["return_backward"] = returns(sides, groups, seed)
    return {what: found[what] for what in WHATS}


def mutual(sides: Sides, groups: Sequence[Group], seed: int) -> Read:
    """A's stream with B's stream: does either know of the other? Fitted on facts of all kinds."""
    everyone = np.arange(len(groups))
    half = parts_of(groups, everyone, 2, seed)

    def score(training: Facts, read: Facts) -> Crossed:
        a, b = prepared([sides.a, sides.b], groups, training)
        return fit_bilinear(a[training], b[training]).scores(a[read], b[read])

    def product(training: Facts, read: Facts) -> Crossed:
        a, b = prepared([sides.a, sides.b], groups, training)
        return a[read] @ b[read].T

    return Read(
        crossed(score, groups, everyone, seed),
        crossed(product, groups, everyone, seed),
        judged(score, groups, half, seed),
        half,
    )


def directed(sides: Sides, groups: Sequence[Group], order: Order, seed: int) -> tuple[Read, Read]:
    """The stream of the entity that `order` reads with the other's output vector, so that only
    what is read can have learnt; and the same matrix transposed, for reading the other way.

    Fitted on facts told in `order` or in both. Transposed, it is given the other entity's stream
    and this one's output vectors, which it has never seen, with the penalty and at the layer of
    its own direction.
    """
    pool = pool_of(groups, order)
    outside = np.setdiff1d(np.arange(len(groups)), pool)
    half = parts_of(groups, pool, 2, seed)
    streams, vectors = [sides.a, sides.b], [sides.a_vectors, sides.b_vectors]
    if order == "backward":
        streams, vectors = streams[::-1], vectors[::-1]

    def score(training: Facts, read: Facts) -> Crossed:
        """By direction, and by penalty; the first is the plain product."""
        ready = prepared([*streams, *vectors], groups, training)
        model = fit_bilinear(ready[0][training], ready[3][training])
        here, other, own, sought = (side[read] for side in ready)
        direct = [(here @ sought.T)[None], model.scores(here, sought)]
        turned = [(other @ own.T)[None], model.scores(own, other).swapaxes(-1, -2)]
        return np.stack([np.concatenate(direct), np.concatenate(turned)])

    def one_way(training: Facts, read: Facts) -> Crossed:
        here, sought = prepared([streams[0], vectors[1]], groups, training)
        return fit_bilinear(here[training], sought[training]).scores(here[read], sought[read])

    scores = crossed(score, groups, pool, seed)
    scores[..., outside[:, None], outside] = score(pool, outside)
    judge = judged(one_way, groups, half, seed)
    direct, turned = (Read(one[1:], one[0], judge, half) for one in scores)
    return direct, turned


def returns(sides: Sides, groups: Sequence[Group], seed: int) -> tuple[Read, Read]:
    """A → B → A and B → A → B by one linear map each way, scored against where they began.

    The two maps are fitted on different parts of the training facts. Fitted on the same facts,
    they return whatever they are given, related or not: the first writes it as a mixture of
    training facts, and the second reads the mixture back. Each part is centred by itself: what is
    left of one part's sum in both spaces is minus what is left of the other's, and would be
    returned. Penalty (and layer) are the best for the single maps, A → B and B → A: of maps between
    unrelated vectors a chance part returns all facts alike, and to choose by the return would be to
    choose that.
    """
    everyone = np.arange(len(groups))
    half, part = (parts_of(groups, everyone, 2, seed + n) for n in (0, 1))

    def score(training: Facts, read: Facts) -> Crossed:
        out, back = training[part[training] == 0], training[part[training] == 1]
        (a, b), (a_back, b_back) = (prepared([sides.a, sides.b], groups, h) for h in (out, back))
        to_b = partial(ridge_map, a[out], b[out])
        to_a = partial(ridge_map, b_back[back], a_back[back])
        forward = to_a(to_b(a[read])) @ unit(a_back[read]).T
        backward = to_b(to_a(b_back[read])) @ unit(b[read]).T
        return np.stack([forward, backward])

    def single(training: Facts, read: Facts) -> Crossed:
        a, b = prepared([sides.a, sides.b], groups, training)
        there = ridge_map(a[training], b[training], a[read]) @ unit(b[read]).T
        here = ridge_map(b[training], a[training], b[read]) @ unit(a[read]).T
        return there + here.swapaxes(-1, -2)

    judge = judged(single, groups, half, seed)
    forward, backward = crossed(score, groups, everyone, seed)
    return Read(forward, None, judge, half), Read(backward, None, judge, half)


def prepared(values: Sequence[Vectors], groups: Sequence[Group], training: Facts) -> list[Vectors]:
    """Without their group's mean over training facts, and of one size; nothing but rounding is
    none at all, as where all prompts end alike."""
    ready = []
    for one in values:
        apart = centred(one, groups, training)
        rounding = np.abs(apart).max() <= ROUNDING * np.abs(one).max()
        ready.append(np.zeros_like(apart) if rounding else to_size(apart, training))
    return ready


class Choice(NamedTuple):
    """Each fact's layer, and its penalty at every layer."""

    layer: Int[np.ndarray, " fact"]
    strength: Int[np.ndarray, "layer fact"]


def choose(reads: Sequence[Read]) -> Choice:
    """By the facts of the other half, where they are best read; for facts that were never fitted
    on, by all that were."""
    half, judge = reads[0].half, np.stack([read.judge for read in reads])
    layer, strength = np.empty(len(half), int), np.empty((len(reads), len(half)), int)
    for name in (-1, 0, 1):
        means = judge[..., (half >= 0) & (half != name)].mean(-1)
        layer[half == name] = means.max(1).argmax()
        strength[:, half == name] = means.argmax(1)[:, None]
    return Choice(layer, strength)


def unit(rows: Float[np.ndarray, "row width"]) -> Float[np.ndarray, "row width"]:
    sizes = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.divide(rows, sizes, out=np.zeros_like(rows), where=sizes > 0)
