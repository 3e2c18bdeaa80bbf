"""How symmetric are the distances themselves, before anything is learnt?"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from interp_rc.measures.symmetry.estimates import NAME
from interp_rc.records.estimates import Estimates
from interp_rc.records.numbers import Estimate
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.intervals import t_mean
from interp_rc.training.symmetry.distances import DISTANCES, DistanceName

CORRELATION = "correlation"


def own_symmetry(
    hypotheses: Float[Tensor, "pair width"],
    premises: Float[Tensor, "pair width"],
    distance: DistanceName,
    *,
    labels: int,
    seed: int,
) -> Estimate:
    """Pearson correlation over pairs of d(h∘l, p) with d(p∘l, h), l being a random label: the mean
    over draws of the label with their t interval; n counts draws. One where the distance is
    symmetric whatever the label."""
    form = DISTANCES[distance]
    generator = torch.Generator().manual_seed(derive_seed(seed, "own_symmetry", distance))
    drawn = form.drawn(labels, hypotheses.shape[1], generator)
    first, second = normalize(hypotheses.double(), dim=-1), normalize(premises.double(), dim=-1)
    found = []
    for label in drawn.double():
        there = form.apart(first, label, second).numpy()
        back = form.apart(second, label, first).numpy()
        found.append(np.corrcoef(there, back)[0, 1])
    return t_mean(np.array(found), CORRELATION)


def gaussian(
    pairs: int, width: int, seed: int
) -> tuple[Float[Tensor, "pair width"], Float[Tensor, "pair width"]]:
    """Hypotheses and premises that have nothing in common."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "gaussian"))
    both = torch.randn(2, pairs, width, generator=generator)
    return both[0], both[1]


def own_symmetries(
    real: tuple[Float[Tensor, "pair width"], Float[Tensor, "pair width"]],
    distances: tuple[DistanceName, ...],
    *,
    labels: int,
    seed: int,
) -> Estimates:
    """By distance (the method), and of real or as many Gaussian vectors (the reading)."""
    found = Estimates(NAME)
    pairs, width = real[0].shape
    vectors = {"embeddings": real, "gaussian": gaussian(pairs, width, seed)}
    for distance in distances:
        for name, both in vectors.items():
            one = own_symmetry(*both, distance, labels=labels, seed=seed)
            found.add(one, part="own", method=distance, reading=name)
    return found
