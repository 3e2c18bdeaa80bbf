"""What a user chooses about an embedded base model."""

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field, model_validator

from interp_rc.facts.factset import FactSet
from interp_rc.facts.world import world
from interp_rc.models.build import Size, check_parameters
from interp_rc.models.load import Loaded
from interp_rc.models.machine import Machine
from interp_rc.records.options import Count, Options, Positive
from interp_rc.training.base import Recipe, embedded_base
from interp_rc.training.options import TrainingOptions
from interp_rc.training.train import Report


class World(Options):
    """How many people or questions the base corpus tells in both orders, and in one, how often.

    `in_context` more documents state facts of yet other people and answer the reversed question;
    `symmetry` documents are the benchmark of symmetric and antisymmetric relations as text. Of
    couples, `both` of each relation are told in both orders where that is true, and those of both
    other numbers in one order.
    """

    both: Count = 200
    trained_forward: Count = 40
    trained_backward: Count = 40
    exposures: Positive = 80
    in_context: Count = 0
    symmetry: Count = 0


class EmbeddedModel(Options):
    """A small model made here, pretrained on a world of other people, or other questions."""

    kind: Literal["embedded"] = "embedded"
    size: Size = Size()
    vocabulary: Positive = 2048
    world: World = World()
    learning_rate: Annotated[float, Field(gt=0)] = 3e-3
    epochs: Positive = 1
    batch_size: Positive = 32

    @model_validator(mode="after")
    def _can_be_made(self) -> "EmbeddedModel":
        check_parameters(0, self.size.width, 0, self.vocabulary)
        return self

    def training(self) -> TrainingOptions:
        return TrainingOptions(
            learning_rate=self.learning_rate, epochs=self.epochs, batch_size=self.batch_size
        )

    def known(self, facts: FactSet, seed: int) -> FactSet:
        """The world that the model is pretrained on: none of it is in `facts`."""
        return world(facts, seed, **self.world.model_dump())

    def load(
        self,
        known: FactSet,
        *,
        machine: Machine,
        seed: int,
        report: Report,
        waiting: Callable[[], object],
    ) -> tuple[Loaded, bool]:
        """The model from the cache, or pretrained now; and whether it was there already."""
        recipe = Recipe(self.size, self.vocabulary, self.training())
        loaded, cached = embedded_base(
            recipe, known.documents, machine=machine, seed=seed, report=report, waiting=waiting
        )
        return Loaded(loaded.model.to(machine.device), loaded.tokenizer), cached
