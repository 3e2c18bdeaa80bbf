"""How far a premise p is from its hypothesis h under a label l: d(h∘l, p), three ways.

A label embedding acts on the hypothesis alone, so exchanging the texts changes the distance as far
as the label allows. Embeddings come in at unit length (`methods.py` sees to it). All that is here
broadcasts over leading axes and has gradients.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

from interp_rc.records.errors import ModelError

DistanceName = Literal["cosine", "l2", "rotate"]
RIDGE = 0.1
"""Of the L2 form, in mean squares of a unit vector's entry, which is 1 / width."""
SHORTEST = 1e-12
"""Products shorter than this have no phase to speak of."""


class Distance(Protocol):
    """What a form of the distance offers."""

    def apart(
        self,
        hypothesis: Float[Tensor, "*many width"],
        label: Float[Tensor, "*many width"],
        premise: Float[Tensor, "*many width"],
    ) -> Float[Tensor, "*many"]:
        """d(h∘l, p), 0 or more."""

    def implied(
        self, hypothesis: Float[Tensor, "*many width"], premise: Float[Tensor, "*many width"]
    ) -> Float[Tensor, "*many width"]:
        """The label embedding that brings the hypothesis to the premise."""

    def drawn(
        self, count: int, width: int, generator: torch.Generator
    ) -> Float[Tensor, "count width"]:
        """Random label embeddings."""


@dataclass(frozen=True, slots=True)
class Cosine:
    """1 - cos(h∘l, p), from 0 to 2.

    Exchanging h and p leaves the numerator Σ hlp as it is and changes the denominators |h∘l||p|
    alone, so this distance is symmetric but for the lengths that a label gives them; exactly where
    all |l_i| are equal. The implied label is the unit vector along h∘p, which among unit vectors
    makes <h∘l, p> greatest. Labels are drawn evenly from the unit sphere; their length is of no
    consequence.
    """

    def apart(
        self,
        hypothesis: Float[Tensor, "*many width"],
        label: Float[Tensor, "*many width"],
        premise: Float[Tensor, "*many width"],
    ) -> Float[Tensor, "*many"]:
        return 1 - cosine_similarity(hypothesis * label, premise, dim=-1)

    def implied(
        self, hypothesis: Float[Tensor, "*many width"], premise: Float[Tensor, "*many width"]
    ) -> Float[Tensor, "*many width"]:
        return normalize(hypothesis * premise, dim=-1)

    def drawn(
        self, count: int, width: int, generator: torch.Generator
    ) -> Float[Tensor, "count width"]:
        return normalize(torch.randn(count, width, generator=generator), dim=-1)


@dataclass(frozen=True, slots=True)
class L2:
    """|h∘l - p|, Euclidean.

    Its square is |h∘l|² + |p|² - 2 Σ hlp: exchanging h and p leaves the last term as it is and
    changes the lengths; symmetric for all texts exactly where all |l_i| are one. The implied label
    is the quotient h∘p / (h² + λ), entry by entry: of all l the one with the least
    |h∘l - p|² + λ|l|². λ is `RIDGE` / width, a tenth of the mean square of a unit vector's entry:
    without it, entries of h near zero would rule. Labels are drawn from the standard normal
    distribution, so that h∘l is about as long as h.
    """

    def apart(
        self,
        hypothesis: Float[Tensor, "*many width"],
        label: Float[Tensor, "*many width"],
        premise: Float[Tensor, "*many width"],
    ) -> Float[Tensor, "*many"]:
        return torch.linalg.vector_norm(hypothesis * label - premise, dim=-1)

    def implied(
        self, hypothesis: Float[Tensor, "*many width"], premise: Float[Tensor, "*many width"]
    ) -> Float[Tensor, "*many width"]:
        return hypothesis * premise / (hypothesis.square() + RIDGE / hypothesis.shape[-1])

    def drawn(
        self, count: int, width: int, generator: torch.Generator
    ) -> Float[Tensor, "count width"]:
        return torch.randn(count, width, generator=generator)


@dataclass(frozen=True, slots=True)
class Rotate:
    """|h∘l - p| over complex numbers, where l turns each by an angle (RotatE, Sun et al. 2019,
    arXiv:1902.10197).

    A vector's first half holds the real parts, its second half the imaginary ones; of a label,
    cosines and sines. Exchanging h and p turns back instead of on: |p∘l - h| = |h∘conj(l) - p|,
    so the distance is symmetric for all texts exactly where l = conj(l), which is where the
    rotation's square is one. The implied label is the phase of p∘conj(h), the rotation that leaves
    only the moduli apart. Labels are drawn with even angles.

    Raises ModelError for an odd width.
    """

    def apart(
        self,
        hypothesis: Float[Tensor, "*many width"],
        label: Float[Tensor, "*many width"],
        premise: Float[Tensor, "*many width"],
    ) -> Float[Tensor, "*many"]:
        turned = _product(_halves(hypothesis), _halves(label))
        return torch.linalg.vector_norm(torch.cat(turned, dim=-1) - premise, dim=-1)

    def implied(
        self, hypothesis: Float[Tensor, "*many width"], premise: Float[Tensor, "*many width"]
    ) -> Float[Tensor, "*many width"]:
        real, imaginary = _halves(hypothesis)
        turned = _product((real, -imaginary), _halves(premise))
        squares = turned[0].square() + turned[1].square()
        modulus = squares.clamp_min(SHORTEST**2).sqrt()
        return torch.cat([part / modulus for part in turned], dim=-1)

    def drawn(
        self, count: int, width: int, generator: torch.Generator
    ) -> Float[Tensor, "count width"]:
        angles = 2 * torch.pi * torch.rand(count, _half(width), generator=generator)
        return torch.cat([angles.cos(), angles.sin()], dim=-1)


Complex = tuple[Float[Tensor, "*many half"], Float[Tensor, "*many half"]]


def _halves(vectors: Float[Tensor, "*many width"]) -> Complex:
    half = _half(vectors.shape[-1])
    return vectors[..., :half], vectors[..., half:]


def _half(width: int) -> int:
    if width % 2:
        raise ModelError(
            f"embeddings of width {width} cannot be halved into real and imaginary parts; choose "
            "distance=cosine or l2, or an encoder of even width"
        )
    return width // 2


def _product(first: Complex, second: Complex) -> Complex:
    return (
        first[0] * second[0] - first[1] * second[1],
        first[0] * second[1] + first[1] * second[0],
    )


DISTANCES: dict[DistanceName, Distance] = {"cosine": Cosine(), "l2": L2(), "rotate": Rotate()}
