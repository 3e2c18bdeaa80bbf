"""What a user chooses about retraining an encoder."""

from typing import Annotated

from pydantic import Field, model_validator

from interp_rc.records.limits import MOST_COUNT
from interp_rc.records.options import Count, Options, Positive
from interp_rc.training.symmetry.distances import DISTANCES, DistanceName
from interp_rc.training.symmetry.methods import (
    JointNearest,
    LabelEmbeddings,
    Method,
    Nearest,
    Rule,
    draw_head,
    draw_labels,
)

TOGETHER: tuple[Method, ...] = ("joint_nearest", "head")


class Retraining(Options):
    """How an encoder is retrained; defaults are the published ones.

    `epochs`: 0 leaves the encoder as it was pretrained. `batch_size` is in pairs: 32, or 8 for the
    methods with neighbours. `margin`: 1 for label embeddings, 0.5 for neighbours, none for a head.
    `neighbours`: how many vote, where they do. `distance` is for the methods that read a pair's
    texts apart.
    """

    method: Method
    distance: DistanceName = "cosine"
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 2e-5
    epochs: Count = 3
    batch_size: Annotated[int, Field(ge=2, le=MOST_COUNT)] | None = None
    margin: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    neighbours: Positive = 5

    @model_validator(mode="after")
    def _distance_has_a_use(self) -> "Retraining":
        if self.method in TOGETHER and self.distance != "cosine":
            raise ValueError(
                f"method {self.method} reads both texts as one and has no label to act on one of "
                "them; leave distance out"
            )
        return self

    @model_validator(mode="after")
    def _margin_has_a_use(self) -> "Retraining":
        if self.method == "head" and self.margin is not None:
            raise ValueError("method head is trained by cross-entropy; leave margin out")
        return self

    @property
    def pairs_at_once(self) -> int:
        """The batch size, or the method's own."""
        return self.batch_size or (8 if self.method.endswith("nearest") else 32)

    def rule(self, labels: tuple[str, ...], width: int, seed: int) -> Rule:
        """The method at work, with what it draws of the seed."""
        distance = DISTANCES[self.distance]
        match self.method:
            case "label_embeddings":
                drawn = draw_labels(labels, distance, width, seed)
                return LabelEmbeddings(distance, drawn, self.margin or 1.0)
            case "nearest":
                return Nearest(distance, self.margin or 0.5)
            case "joint_nearest":
                return JointNearest(self.margin or 0.5)
            case "head":
                return draw_head(len(labels), width, seed)
