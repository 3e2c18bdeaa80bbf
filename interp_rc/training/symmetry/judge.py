"""A retrained encoder with what it decides by: labels for pairs it has not seen."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from interp_rc.models.encoder import Encoder
from interp_rc.records.errors import ModelError
from interp_rc.records.nouns import Label, Pair
from interp_rc.training.symmetry.methods import Rule, Vectors
from interp_rc.training.symmetry.reading import vectors_of

AT_ONCE = 2**24
"""Numbers in a table of distances while it is made, 64 MiB of them."""


@dataclass(frozen=True, slots=True)
class Judge:
    """`labels`: those it can answer. `kept` and `kept_labels`: the neighbours, for the methods that
    have them. `voters`: how many of the nearest vote."""

    encoder: Encoder
    labels: tuple[Label, ...]
    rule: Rule = field(repr=False)
    voters: int
    kept: Vectors = field(repr=False)
    kept_labels: tuple[Label, ...] = field(repr=False)

    @torch.inference_mode()
    def predict(self, pairs: Sequence[Pair]) -> list[Label]:
        """The nearest label, or the one that most of the nearest neighbours have: of labels with
        equal votes the one with the nearest neighbour, of neighbours as near the earlier."""
        vectors = vectors_of(self.encoder, pairs, self.rule.together)
        if not self.rule.neighbours:
            nearest = self._apart(vectors).argmin(1).tolist()
            return [self.labels[column] for column in nearest]
        order = self._apart(vectors).argsort(dim=1, stable=True)[:, : self.voters].tolist()
        return [majority([self.kept_labels[column] for column in row]) for row in order]

    def _apart(self, vectors: Vectors) -> Float[Tensor, "pair column"]:
        rows = max(1, AT_ONCE // max(1, self.kept.numel()))
        return torch.cat([self.rule.apart(part, self.kept) for part in torch.split(vectors, rows)])

    def remember(self, pairs: Sequence[Pair]) -> "Judge":
        """One that has these as further neighbours, also of labels that are new; nothing is
        trained, and this one stays as it is.

        Raises ModelError for a method without neighbours.
        """
        if not self.rule.neighbours:
            raise ModelError(
                "only the methods nearest and joint_nearest can remember further pairs; the others "
                "have to be retrained with them"
            )
        vectors = vectors_of(self.encoder, pairs, self.rule.together)
        added = tuple(pair.label for pair in pairs)
        return replace(
            self,
            labels=tuple(sorted({*self.labels, *added})),
            kept=torch.cat([self.kept, vectors]),
            kept_labels=self.kept_labels + added,
        )


def majority(labels: Sequence[Label]) -> Label:
    """The most frequent of labels, nearest first; among equally frequent the first."""
    return max(labels, key=labels.count)
