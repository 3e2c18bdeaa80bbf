"""Is the memory of one order the transpose of the other's? Five readings of one layer's MLP.

A linear memory of pairs, W = Σ v kᵀ, answers a key k with its value, v ∝ W k, and, if keys are
orthogonal, a value with its key, k ∝ Wᵀ v (Kohonen 1972; Kosko 1988, bidirectional associative
memories). So a model that stored "A is B" like that could be asked either way.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float
from sklearn.linear_model import RidgeCV

from interp_rc.measures.transposition.reading import Memory
from interp_rc.tools.probing.probe_fit import centred

Reading = Literal["fitted", "transposed", "value_as_key", "recalled", "neurons_recalled"]
READINGS: tuple[Reading, ...] = get_args(Reading)
FITTED: tuple[Reading, ...] = ("fitted", "transposed", "recalled")
CROSS: tuple[Reading, ...] = READINGS[2:]  # what A's reading left, met by B
PENALTIES = np.logspace(-2, 5, 15)
FOLDS = 10
ROUNDING = 1e-12

Vectors = Float[np.ndarray, "fact width"]
Scores = Float[np.ndarray, "fact candidate"]


def recall_scores(
    read: Memory,
    coming: Memory,
    weights: Float[np.ndarray, "neuron width"],
    layer: int,
    groups: Sequence[str],
    seed: int,
) -> Mapping[Reading, Scores]:
    """How alike what a reading finds for each fact (row) is to what belongs to each (column).

    `read` is the memory where A is read, `coming` the one where B is, `weights` the layer's value
    vectors. W is fitted by ridge regression, v = W k, on the facts of other folds (RidgeCV, the
    penalty by leave-one-out on those); all vectors are less the mean of their group (of its
    training facts, where it is fitted). Cosines.

    `fitted`: W k against v, on held-out facts: is there such a W at all?
    `transposed`: Wᵀ v against k: does the transpose lead back? As WᵀW is never negative, it does
    wherever W fits; so this shows that the reading can see, and nothing of the facts.
    `value_as_key`: v, as it was written for A, against the key that B brings.
    `recalled`: Wᵀ of the key that B brings, against A's key.
    `neurons_recalled`: every value vector taken as a key for what B brings, against the
    coefficients that A had: the MLP's own weights transposed, nothing fitted.
    """
    everyone = np.arange(len(groups))
    k, v, b = read.keys[:, layer], read.values[:, layer], coming.keys[:, layer]
    here, there, brought, c = (
        centred(x, groups, everyone) for x in (k, v, b, read.coefficients[:, layer])
    )
    found: dict[Reading, Scores] = {
        "value_as_key": cosines(there, brought),
        "neurons_recalled": cosines(brought @ weights.T, c),
    }
    for reading in FITTED:
        found[reading] = np.empty((len(groups), len(groups)))
    folds = np.array_split(np.random.default_rng(seed).permutation(everyone), FOLDS)
    for fold in (fold for fold in folds if len(fold)):
        training = np.setdiff1d(everyone, fold)
        # A mean over all facts would tell those of the fold; see `centred`.
        keys, values = (centred(x, groups, training) for x in (k, v))
        w = RidgeCV(PENALTIES, fit_intercept=False).fit(keys[training], values[training]).coef_
        found["fitted"][fold] = cosines(keys[fold] @ w.T, values)
        found["transposed"][fold] = cosines(values[fold] @ w, keys)
        found["recalled"][fold] = cosines(brought[fold] @ w, here)
    return {reading: found[reading] for reading in READINGS}


def cosines(one: Vectors, other: Vectors) -> Scores:
    """Of every row with every row; 0 where one vanishes, or orthogonal up to rounding."""
    sizes = np.linalg.norm(one, axis=1)[:, None] * np.linalg.norm(other, axis=1)[None]
    found = np.divide(one @ other.T, sizes, out=np.zeros_like(sizes), where=sizes > 0)
    return np.where(np.abs(found) > ROUNDING, found, 0.0)
