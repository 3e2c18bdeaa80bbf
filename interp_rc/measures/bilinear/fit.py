"""A bilinear probe in RESCAL's form, read on entities that no part of it was fitted on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float, Int

from interp_rc.records.errors import DataError
from interp_rc.tools.probing.probe_fit import Facts, Vectors, right_and_z

STRENGTHS = (0.1, 1.0, 10.0, 100.0)
"""Of the penalty, where the eigenvalues that it is added to have mean 1 or somewhat more."""
FOLDS = 6

Rows = Float[np.ndarray, "row width"]
Crossed = Float[np.ndarray, "*many fact candidate"]


@dataclass(frozen=True)
class Bilinear:
    """score(a, b) = aᵀ(scale · I + M)b, for every penalty; M by its training facts."""

    left: Rows
    right: Rows
    scale: float
    inner: Float[np.ndarray, "strength training training"]

    def scores(self, left: Rows, right: Rows) -> Float[np.ndarray, "strength left right"]:
        """Of every row of `left` with every row of `right`; any vectors of the two spaces."""
        found: Float[np.ndarray, "strength left right"] = self.scale * (left @ right.T) + (
            left @ self.left.T
        ) @ self.inner @ (self.right @ right.T)
        return found


def fit_bilinear(left: Rows, right: Rows, strengths: Sequence[float] = STRENGTHS) -> Bilinear:
    """From training facts: row i of `left` belongs to row i of `right`, and to no other.

    M minimises Σ(x - score)² + strength · |M|² over all pairs, x being 1 for matched and 0 for
    mismatched ones: the update of R_k in RESCAL (Nickel, Tresp and Kriegel 2011, section 4), whose
    entities are given here by the model. It starts from the plain product (`scale`, by least
    squares) and is shrunk towards it. Solved in the eigenbases of both sides' Gram matrices, so in
    the space that training facts span.
    """
    (left_values, left_basis), (right_values, right_basis) = (
        np.linalg.eigh(side @ side.T) for side in (left, right)
    )
    products = left @ right.T
    size = float(np.square(products).sum())
    scale = float(np.trace(products)) / size if size > 0 else 0.0
    missing = left_basis.T @ (np.eye(len(left)) - scale * products) @ right_basis
    values = np.outer(left_values.clip(0), right_values.clip(0))
    core = missing / (values + np.array(strengths)[:, None, None])
    return Bilinear(left, right, scale, left_basis @ core @ right_basis.T)


def ridge_map(
    known: Rows, wanted: Rows, given: Float[np.ndarray, "*strength row width"],
    strengths: Sequence[float] = STRENGTHS,
) -> Float[np.ndarray, "strength row width"]:  # fmt: skip
    """What a ridge map from `known` to `wanted` makes of the rows of `given`, for every penalty;
    of a stack of rows, each penalty's own."""
    values, basis = np.linalg.eigh(known @ known.T)
    filtered = 1 / (values.clip(0) + np.array(strengths)[:, None])
    seen = ((given @ known.T) @ basis) * filtered[:, None]
    found: Float[np.ndarray, "strength row width"] = seen @ (basis.T @ wanted)
    return found


def to_size(values: Vectors, training: Facts) -> Vectors:
    """So that training facts have squared length 1 on average, and penalties one meaning."""
    size = float(np.square(values[training]).sum()) / max(len(training), 1)
    return values / np.sqrt(size) if size > 0 else values


def parts_of(groups: Sequence[str], pool: Facts, parts: int, seed: int) -> Int[np.ndarray, " fact"]:
    """A part for each fact of the pool, drawn evenly, also within groups; -1 outside."""
    part, names, generator = np.full(len(groups), -1), np.array(groups), np.random.default_rng(seed)
    dealt = 0
    for name in sorted({groups[i] for i in pool.tolist()}):
        mine = generator.permutation(pool[names[pool] == name])
        part[mine] = (dealt + np.arange(len(mine))) % parts
        dealt += len(mine)
    return part


def crossed(
    score: Callable[[Facts, Facts], Crossed], groups: Sequence[str], pool: Facts, seed: int
) -> Crossed:
    """Scores of the pool's facts with the candidates of their group by fits that knew neither.

    `score(training, read)` gives those among the facts `read`. Two facts of different folds are
    scored by the fit without both folds, two of one fold by the one without that and the next; so
    every candidate of a fact is as new to its judge as the right one, and where there is nothing
    to find, each comes first equally often. Zero outside the pool.
    """
    fold = parts_of(groups, pool, FOLDS, seed)
    names = sorted(set(fold[pool].tolist()))
    following = dict(zip(names, names[1:] + names[:1], strict=True))
    found: Crossed | None = None
    for one, other in combinations(names, 2):
        out = np.isin(fold, (one, other))
        read = np.flatnonzero(out)
        mine = fold[read]
        wanted = mine[:, None] != mine
        for this, that in ((one, other), (other, one)):
            if following[this] == that:
                wanted |= (mine[:, None] == this) & (mine == this)
        scores = score(pool[~out[pool]], read)
        if found is None:
            found = np.zeros((*scores.shape[:-2], len(fold), len(fold)))
        rows, columns = np.nonzero(wanted)
        found[..., read[rows], read[columns]] = scores[..., rows, columns]
    if found is None:
        raise DataError("found fewer than two facts to fit a bilinear probe on; tell more")
    return found


def judged(
    score: Callable[[Facts, Facts], Crossed],
    groups: Sequence[str],
    half: Int[np.ndarray, " fact"],
    seed: int,
) -> Float[np.ndarray, "strength fact"]:
    """z of every fact by fits on facts of its own half alone, to choose for the other half by.

    Fits that read a fact know the others, and were it judged by those, what two facts happen to
    share would choose for both: where there was nothing, z was 0.04 too high, and a twentieth of
    tests came out a tenth of the time.
    """
    found: Crossed | None = None
    for name in (0, 1):
        mine = np.flatnonzero(half == name)
        scores = crossed(score, groups, mine, seed)[..., mine[:, None], mine]
        z = right_and_z(scores, [groups[i] for i in mine.tolist()])[1]
        if found is None:
            found = np.zeros((*z.shape[:-1], len(half)))
        found[..., mine] = np.nan_to_num(z)  # of two facts there is none: they choose nothing
    assert found is not None
    return found
