"""A classification head for entailment on an encoder's vectors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float

from interp_rc.facts.entailment_pairs import EntailmentPair
from interp_rc.models.encoder import Encoder

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

Reading = Literal["sentences", "together"]
READINGS: tuple[Reading, ...] = ("sentences", "together")
STRENGTH = 1e-3
"""The head's C (inverse weight of the L2 penalty), chosen by held-out accuracy before any
retraining, with other sentences than those that are reported."""
Features = Float[np.ndarray, "item block width"]


@dataclass(frozen=True, slots=True)
class Head:
    """Logistic regression on features less `mean`, each block divided by one number.

    One number a block, not one a feature: an encoder may have numbers that are the same for all
    texts but for rounding. Divided by their own deviation, they would decide after the least
    change of the encoder.
    """

    mean: Float[np.ndarray, "block width"]
    scale: Float[np.ndarray, "block 1"]
    model: "LogisticRegression"

    def scaled(self, given: Features) -> Float[np.ndarray, "item feature"]:
        found: np.ndarray = ((given - self.mean) / self.scale).reshape(len(given), -1)
        return found

    def right(self, given: Features, pairs: Sequence[EntailmentPair]) -> Float[np.ndarray, " item"]:
        """1 where the head gives an item's label, else 0."""
        labels = np.array([pair.label for pair in pairs])
        hits: np.ndarray = (self.model.predict(self.scaled(given)) == labels).astype(float)
        return hits


def features(encoder: Encoder, pairs: Sequence[EntailmentPair], reading: Reading) -> Features:
    """What the head reads: u, v, |u - v| and u * v of the two vectors, or the joint vector."""
    if reading == "together":
        joint = encoder.embedded([(p.premise, p.hypothesis) for p in pairs]).double().numpy()
        return joint[:, None]
    premises = encoder.embedded([pair.premise for pair in pairs]).double().numpy()
    hypotheses = encoder.embedded([pair.hypothesis for pair in pairs]).double().numpy()
    parts = [premises, hypotheses, np.abs(premises - hypotheses), premises * hypotheses]
    return np.stack(parts, axis=1)


def fit_head(given: Features, pairs: Sequence[EntailmentPair]) -> Head:
    """Fitted to the labels; a block's scale is the root mean square of its deviations."""
    from sklearn.linear_model import LogisticRegression

    mean = given.mean(axis=0)
    scale = np.sqrt(((given - mean) ** 2).mean(axis=(0, 2)))[:, None]
    head = Head(mean, np.maximum(scale, 1e-12), LogisticRegression(C=STRENGTH, max_iter=5000))
    head.model.fit(head.scaled(given), [pair.label for pair in pairs])
    return head
