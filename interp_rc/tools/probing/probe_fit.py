"""A linear probe beyond the logit lens, fitted on some facts and read on others."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

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
    return fit_each(stream, [vectors], groups, pool, seed)[0]


def fit_each(
    stream: Stream, labelled: Sequence[Vectors], groups: Sequence[str], pool: Facts, seed: int
) -> list[Reading]:
    """`fit` for several labellings of the same streams, which are decomposed once for all."""
    held_out = np.array_split(np.random.default_rng(seed).permutation(pool), FOLDS)
    held_out = [fold for fold in held_out if len(fold)]
    everyone = np.arange(len(stream))
    probe = np.empty((len(labelled), len(STRENGTHS), len(stream), len(stream)))
    lens = np.empty((len(labelled), len(stream), len(stream)))
    for read in [np.setdiff1d(everyone, pool), *held_out]:
        training = np.setdiff1d(pool, read)
        here = centred(stream, groups, training)
        there = [centred(vectors, groups, training) for vectors in labelled]
        for label, guesses in enumerate(predict(here, there, training, read, STRENGTHS)):
            lens[label, read] = here[read] @ there[label].T
            probe[label][:, read] = guesses @ there[label].T
    readings = []
    for scores, plain in zip(probe, lens, strict=True):
        best = _best_strength(scores, groups, pool, held_out)
        readings.append(Reading(scores[best, everyone], plain))
    return readings


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
    here: Stream,
    labelled: Sequence[Vectors],
    training: Facts,
    read: Facts,
    strengths: Sequence[float],
) -> Iterator[Float[np.ndarray, "strength chosen width"]]:
    """Entity vectors guessed from streams, for each labelling: the scaled stream plus a ridge map
    of it, for every penalty from one singular value decomposition."""
    known = here[training]
    left, values, right = np.linalg.svd(known, full_matrices=False)
    penalties = np.array(strengths)[:, None]
    filtered = values / (values**2 + penalties)  # strength x rank
    seen = (here[read] @ right.T) * filtered[:, None]
    size = float(np.square(known).sum())
    for there in labelled:
        wanted = there[training]
        scale = float((known * wanted).sum()) / size if size > 0 else 0.0  # all streams alike
        yield scale * here[read] + seen @ (left.T @ (wanted - scale * known))


def _best_strength(
    probe: Float[np.ndarray, "strength fact candidate"],
    groups: Sequence[str],
    pool: Facts,
    folds: Sequence[Facts],
) -> Int[np.ndarray, " fact"]:
    """For each fact the penalty that reads the pooled facts outside its fold best."""
    right = right_and_z(probe, groups)[0][:, pool]
    best = np.full(probe.shape[1], right.mean(1).argmax())
    for fold in folds:
        best[fold] = right[:, ~np.isin(pool, fold)].mean(1).argmax()
    return best


def right_and_z(
    scores: Float[np.ndarray, "*many fact candidate"], groups: Sequence[str]
) -> tuple[Float[np.ndarray, "*many fact"], Float[np.ndarray, "*many fact"]]:
    """Among the candidates of the fact's own group: whether its entity comes first, and how many
    standard deviations its score is above the mean of the others: null with a single other one,
    and where others that are all alike are not like it."""
    names = np.array(groups)
    right, z = np.empty(scores.shape[:-1]), np.empty(scores.shape[:-1])
    for name in set(groups):
        mine = np.flatnonzero(names == name)
        block = scores[..., mine[:, None], mine]
        own = np.diagonal(block, axis1=-2, axis2=-1)
        apart = ~np.eye(len(mine), dtype=bool)
        others = block[..., apart].reshape(*own.shape, len(mine) - 1)
        several = len(mine) > 2
        spread = others.std(-1, ddof=1) if several else np.zeros(own.shape)
        above = own - others.mean(-1)
        right[..., mine] = own > others.max(-1)
        unmeasured = np.where((above == 0) & several, 0.0, np.nan)
        z[..., mine] = np.divide(above, spread, out=unmeasured, where=spread > 0)
    return right, z
