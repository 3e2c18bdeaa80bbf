"""The four methods: what each reads, what it minimises, and what it decides by."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy

from interp_rc.records.seeds import derive_seed
from interp_rc.training.symmetry.distances import Distance

Method = Literal["label_embeddings", "nearest", "joint_nearest", "head"]
Vectors = Float[Tensor, "pair part width"]
"""Unit vectors of pairs. Parts: hypothesis and premise, or the one of both read together."""


class Rule(Protocol):
    """A method at work. `together`: whether a pair's texts are read as one.

    `neighbours`: whether the columns of `apart` are other pairs; they are labels otherwise.
    """

    together: ClassVar[bool]
    neighbours: ClassVar[bool]

    def trained(self) -> list[Tensor]:
        """What is trained besides the encoder."""

    def loss(self, vectors: Vectors, own: Int[Tensor, " pair"]) -> Float[Tensor, ""]:
        """To be minimised; `own` is each pair's label, by its place in the list of labels."""

    def apart(self, vectors: Vectors, kept: Vectors) -> Float[Tensor, "pair column"]:
        """Distances from each of `vectors` to each column; the least one decides."""


def contrast(
    apart: Float[Tensor, "*many"], same: Bool[Tensor, "*many"], margin: float
) -> Float[Tensor, "*many"]:
    """½[y d² + (1 - y) max(0, m - d)²], y being 1 where `same` (Hadsell et al. 2006)."""
    return torch.where(same, apart.square(), (margin - apart).clamp_min(0).square()) / 2


@dataclass(frozen=True, slots=True)
class LabelEmbeddings:
    """Frozen random label embeddings, one a label; the nearest label is predicted.

    The loss is `contrast` of d(h∘l, p) over all candidate labels, averaged.
    """

    together: ClassVar[bool] = False
    neighbours: ClassVar[bool] = False
    distance: Distance
    labels: Float[Tensor, "label width"]
    margin: float

    def trained(self) -> list[Tensor]:
        return []

    def apart(self, vectors: Vectors, kept: Vectors) -> Float[Tensor, "pair label"]:
        hypothesis, premise = vectors[:, None].unbind(2)
        return self.distance.apart(hypothesis, self.labels.to(vectors.device), premise)

    def loss(self, vectors: Vectors, own: Int[Tensor, " pair"]) -> Float[Tensor, ""]:
        column = torch.arange(len(self.labels), device=own.device)
        return contrast(self.apart(vectors, vectors), own[:, None] == column, self.margin).mean()


def draw_labels(
    labels: Sequence[str], distance: Distance, width: int, seed: int
) -> Float[Tensor, "label width"]:
    """Label embeddings of a seed; a label has the same one whatever others there are."""
    rows = []
    for label in labels:
        generator = torch.Generator().manual_seed(derive_seed(seed, "label", label))
        rows.append(distance.drawn(1, width, generator))
    return torch.cat(rows)


@dataclass(frozen=True, slots=True)
class Nearest:
    """Implied label embeddings: a pair is as far from a neighbour as d(h∘l, p) with the label that
    the neighbour's own texts imply.

    The loss is `contrast` over all ordered pairs of different examples in a batch, averaged; the
    implied labels have gradients like everything else.
    """

    together: ClassVar[bool] = False
    neighbours: ClassVar[bool] = True
    distance: Distance
    margin: float

    def trained(self) -> list[Tensor]:
        return []

    def apart(self, vectors: Vectors, kept: Vectors) -> Float[Tensor, "pair kept"]:
        hypothesis, premise = vectors[:, None].unbind(2)
        return self.distance.apart(hypothesis, self.distance.implied(*kept.unbind(1)), premise)

    def loss(self, vectors: Vectors, own: Int[Tensor, " pair"]) -> Float[Tensor, ""]:
        return _among(self.apart(vectors, vectors), own, self.margin)


@dataclass(frozen=True, slots=True)
class JointNearest:
    """The same with a learnt distance: both texts give one vector e, and pairs are as far from each
    other as 1 - cos(e, e')."""

    together: ClassVar[bool] = True
    neighbours: ClassVar[bool] = True
    margin: float

    def trained(self) -> list[Tensor]:
        return []

    def apart(self, vectors: Vectors, kept: Vectors) -> Float[Tensor, "pair kept"]:
        return 1 - vectors[:, 0] @ kept[:, 0].T

    def loss(self, vectors: Vectors, own: Int[Tensor, " pair"]) -> Float[Tensor, ""]:
        return _among(self.apart(vectors, vectors), own, self.margin)


def _among(
    apart: Float[Tensor, "pair pair"], own: Int[Tensor, " pair"], margin: float
) -> Float[Tensor, ""]:
    others = ~torch.eye(len(own), dtype=torch.bool, device=own.device)
    return contrast(apart, own[:, None] == own, margin)[others].mean()


@dataclass(frozen=True, slots=True)
class Head:
    """Finetuning with a classification head: a linear layer on the vector of both texts, and
    cross-entropy.

    Unit vectors are brought to entries of size one first, as a head on the states after a layer
    norm has them; on unit vectors the head's logits could hardly differ.
    """

    together: ClassVar[bool] = True
    neighbours: ClassVar[bool] = False
    layer: torch.nn.Linear = field(repr=False)

    def trained(self) -> list[Tensor]:
        return list(self.layer.parameters())

    def logits(self, vectors: Vectors) -> Float[Tensor, "pair label"]:
        sized = vectors[:, 0] * vectors.shape[-1] ** 0.5
        return self.layer(sized.to(self.layer.weight.device))

    def apart(self, vectors: Vectors, kept: Vectors) -> Float[Tensor, "pair label"]:
        return -self.logits(vectors)

    def loss(self, vectors: Vectors, own: Int[Tensor, " pair"]) -> Float[Tensor, ""]:
        logits = self.logits(vectors)
        return cross_entropy(logits, own.to(logits.device))


def draw_head(labels: int, width: int, seed: int) -> Head:
    """As PyTorch draws linear layers; its own generator is every thread's, and stays as it was."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "head"))
    layer = torch.nn.Linear(width, labels, device="meta").to_empty(device="cpu")
    with torch.no_grad():
        for weights in (layer.weight, layer.bias):
            weights.uniform_(-(width**-0.5), width**-0.5, generator=generator)
    return Head(layer)
