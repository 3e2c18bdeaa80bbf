"""What a user chooses about the measure of symmetry."""

from typing import Annotated, TypeVar, get_args

from pydantic import AfterValidator, Field

from interp_rc.records.limits import MOST_COUNT
from interp_rc.records.nouns import EntityForm
from interp_rc.records.options import AbsolutePath, Count, Options, Positive
from interp_rc.training.symmetry.distances import DistanceName
from interp_rc.training.symmetry.methods import Method

T = TypeVar("T")


def _once(values: tuple[T, ...]) -> tuple[T, ...]:
    if len(set(values)) < len(values):
        raise ValueError("names something twice")
    return values


def _cosine_first(values: tuple[DistanceName, ...]) -> tuple[DistanceName, ...]:
    if values[0] != "cosine":
        raise ValueError("begin with cosine, which the other distances are compared with")
    return _once(values)


def _rising(sizes: tuple[int, ...]) -> tuple[int, ...]:
    if list(sizes) != sorted(set(sizes)):
        raise ValueError("sizes must rise, each of them once")
    return sizes


class Protocols(Options):
    """How much is trained and tested. Sizes count pairs.

    `draws` are draws of `train` training pairs for the main table, each with a training seed of its
    own; `test` pairs are in each test set. The first of `distances` is used throughout, by methods
    that compare separate vectors; the others are tried in the main table on two labels and names.
    `neutral` pairs are what a trained judge is given of a label that it was not trained on. With a
    relation left out, `left_out_train` pairs of the others are trained on and at most
    `left_out_test` of its own tested with; no such trials if it is 0. `sizes` and `size_draws` are
    of the search for how many pairs are needed. `own_pairs`: vectors, for the symmetry of the
    distances themselves. `entailment` is a file of others' pairs (MNLI, for example) to measure
    forgetting on, where null makes some; `entailment_test` pairs are tested on, and half as many
    fit the head.
    """

    methods: Annotated[tuple[Method, ...], Field(min_length=1), AfterValidator(_once)] = get_args(
        Method
    )
    distances: Annotated[
        tuple[DistanceName, ...], Field(min_length=1), AfterValidator(_cosine_first)
    ] = get_args(DistanceName)
    epochs: Positive = 3
    learning_rate: Annotated[float, Field(gt=0)] = 2e-5
    train: Annotated[int, Field(ge=8, le=MOST_COUNT)] = 192
    draws: Positive = 3
    test: Annotated[int, Field(ge=8, le=MOST_COUNT)] = 150
    neutral: Positive = 64
    left_out_train: Count = 192
    left_out_test: Positive = 40
    left_out_entities: Annotated[tuple[EntityForm, ...], AfterValidator(_once)] = ("names", "ids")
    sizes: Annotated[tuple[Positive, ...], AfterValidator(_rising)] = (
        16, 32, 48, 64, 96, 128, 192, 256, 336, 400,
    )  # fmt: skip
    size_draws: Positive = 10
    own_pairs: Annotated[int, Field(ge=8, le=MOST_COUNT)] = 200
    entailment: AbsolutePath | None = None
    entailment_test: Annotated[int, Field(ge=66, le=MOST_COUNT)] = 660
