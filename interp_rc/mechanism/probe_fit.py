"""A linear probe beyond the logit lens, fitted on some facts and read on others."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from sklearn.linear_model import Ridge

STRENGTHS = (10.0, 100.0, 1_000.0, 10_000.0)
FOLDS = 10

Stream = Float[np.ndarray, "fact width"]
Vectors = Float[np.ndarray, "fact width"]
Scores = Float[np.ndarray, "fact candidate"]
Facts = Int[np.ndarray, " chosen"]


@dataclass(frozen=True)
class Reading:
    """Scores of all facts' entities after every fact's stream: by the probe and by the lens.

    A fact's own row comes from a probe that was not trained on it.
    """

    probe: Scores
    lens: Scores


def fit(stream: Stream, vectors: Vectors, groups: Sequence[str], pool: Facts, seed: int) -> Reading:
    """Train on the facts of `pool`, in folds; read every fact.

    The lens scores an entity by the product of stream and vector, both less their group's mean,
    so that no entity is preferred whatever the prompt. The probe adds to the stream a linear map
    of it, shrunk towards none: with the strongest penalty it is the lens. The penalty is chosen by
    the accuracy on pooled facts outside the fold that is read. Pooled facts compete with entities
    that their probe was trained on, and so are found somewhat less often than by chance where
    there is nothing to find; facts outside the pool compete with untrained ones only.
    """
    held_out = np.array_split(np.random.default_rng(seed).permutation(pool), FOLDS)
    held_out = [fold for fold in held_out if len(fold)]
    everyone = np.arange(len(stream))
    probe = np.empty((len(STRENGTHS), len(stream), len(stream)))
    lens = np.empty((len(stream), len(stream)))
    for read in [np.setdiff1d(everyone, pool), *held_out]:
        training = np.setdiff1d(pool, read)
        here, there = (centred(values, groups, training) for values in (stream, vectors))
        lens[read] = here[read] @ there.T
        probe[:, read] = predict(here, there, training, read, STRENGTHS) @ there.T
    best = _best_strength(probe, groups, pool, held_out)
    return Reading(probe[best, everyone], lens)


def centred(values: Stream, groups: Sequence[str], training: Facts) -> Stream:
    """Less the mean of the group's training facts, or of the whole group if none is trained on.

    A mean that held the fact to be read would tell it: centred values add up to zero, and a map
    that takes the others' streams to the others' vectors would then take its own to its own.
    """
    names, out = np.array(groups), np.array(values, dtype=float)
    for name in set(groups):
        mine = np.flatnonzero(names == name)
        seen = np.intersect1d(mine, training)
        out[mine] -= out[seen if len(seen) else mine].mean(0)
    return out


def predict(
    here: Stream, there: Vectors, training: Facts, read: Facts, strengths: Sequence[float]
) -> Float[np.ndarray, "strength chosen width"]:
    """Entity vectors guessed from streams: the scaled stream plus a ridge map of it."""
    known, wanted = here[training], there[training]
    size = float(np.square(known).sum())
    scale = float((known * wanted).sum()) / size if size > 0 else 0.0  # all streams alike
    # Every penalty in one decomposition: the targets come once for each.
    targets = np.tile(wanted - scale * known, len(strengths))
    ridge = Ridge(np.repeat(strengths, wanted.shape[1]), fit_intercept=False, solver="svd")
    mapped = ridge.fit(known, targets).predict(here[read])
    guesses = mapped.reshape(len(read), len(strengths), -1).swapaxes(0, 1)
    return scale * here[read] + guesses


def _best_strength(
    probe: Float[np.ndarray, "strength fact candidate"],
    groups: Sequence[str],
    pool: Facts,
    folds: Sequence[Facts],
) -> Int[np.ndarray, " fact"]:
    """For each fact the penalty that reads the pooled facts outside its fold best."""
    right = np.stack([right_and_z(scores, groups)[0][pool] for scores in probe])
    best = np.full(probe.shape[1], right.mean(1).argmax())
    for fold in folds:
        best[fold] = right[:, ~np.isin(pool, fold)].mean(1).argmax()
    return best


def right_and_z(
    scores: Scores, groups: Sequence[str]
) -> tuple[Float[np.ndarray, " fact"], Float[np.ndarray, " fact"]]:
    """Among the candidates of the fact's own group: whether its entity comes first, and how many
    standard deviations its score is above the mean of the others."""
    names = np.array(groups)
    right, z = np.empty(len(scores)), np.empty(len(scores))
    for fact, row in enumerate(scores):
        mine = np.flatnonzero(names == names[fact])
        own, others = row[fact], row[mine[mine != fact]]
        right[fact] = own > others.max()
        spread = others.std(ddof=1) if len(others) > 1 else 0.0
        z[fact] = (own - others.mean()) / spread if spread > 0 else 0.0
    return right, z
