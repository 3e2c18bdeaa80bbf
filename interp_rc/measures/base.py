"""What a measure is given: the facts, models and tables of a run, and where its own tables go."""

from abc import ABC, abstractmethod
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

from interp_rc.display.section import Section
from interp_rc.facts.factset import FactSet
from interp_rc.facts.folder import read_facts
from interp_rc.models.load import Loaded, load
from interp_rc.records.files import write_parquet
from interp_rc.records.options import Options
from interp_rc.records.runs import Measured, Run
from interp_rc.training.options import TrainingOptions

if TYPE_CHECKING:
    import pandas as pd

ANSWERS, CANDIDATES = "evaluation/answers", "evaluation/candidates"
"""The tables that `behaviour` writes and others read."""

M = TypeVar("M")
"""What is measured: `Loaded`, `Encoder`, or either of `Loaded` and `Remote`."""


class MeasureContext(Generic[M]):
    """A run as its measures see it. Facts and the base model are read once for all of them.

    `model` is the model in question: the finetuned one, or the only one.
    """

    def __init__(self, run: Run, model: M) -> None:
        self.run = run
        self.model = model
        self.written: list[str] = []

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The run's configuration."""
        return self.run.config()

    @cached_property
    def training(self) -> TrainingOptions:
        """How the run trains; the default options where it does not."""
        return TrainingOptions.model_validate(self.settings["training"] or {})

    @property
    def seed(self) -> int:
        seed: int = self.settings["seed"]
        return seed

    @cached_property
    def facts(self) -> FactSet:
        return read_facts(self.run.facts)

    @cached_property
    def known_facts(self) -> FactSet | None:
        """What the base model was taught; None where that is not known."""
        return read_facts(self.run.base_facts) if self.run.base_facts.is_dir() else None

    @cached_property
    def base(self) -> Loaded | None:
        """The model before finetuning, on the same device; None in a run that has none."""
        if not self.run.base.is_dir():
            return None
        assert isinstance(self.model, Loaded)  # the configuration gives a base to no others
        return load(self.run.base, device=str(self.model.model.device))

    @property
    def model_name(self) -> str:
        """What tables call `model`."""
        return "finetuned" if self.run.base.is_dir() else "base"

    @property
    def models(self) -> dict[str, M | Loaded]:
        """The base and the model in question, as tables call them; one where there is one."""
        before: dict[str, M | Loaded] = {} if self.base is None else {"base": self.base}
        return before | {self.model_name: self.model}

    @property
    def answers(self) -> "pd.DataFrame":
        """Every query as the models answered it. Raises RunError if none was asked yet."""
        return self.table(ANSWERS)

    def table(self, name: str) -> "pd.DataFrame":
        """A table that another measure wrote. Raises RunError if it is not there."""
        return self.run.table(name)

    def write(self, name: str, table: "pd.DataFrame") -> None:
        """Write a table of the measure's own, e.g. ``mechanism/lens``."""
        write_parquet(self.run.folder / f"{name}.parquet", table)
        self.written.append(name)


Takes = Literal["causal", "encoder", "remote"]
Needs = Literal["training", "base", "answers", "corpus", "trace"]


class Measure(Options, ABC, Generic[M]):
    """What is measured of a run: its options, what it needs, how it is made and shown.

    A measure lives in a folder of its own, with this class in `measure.py` and its part of the page
    in `section.py`, whose `section(run, measured)` is called.
    """

    kind: str
    takes: ClassVar[frozenset[Takes]] = frozenset({"causal"})
    """The models that it can be made of: language models here or behind an API, or encoders."""
    needs: ClassVar[frozenset[Needs]] = frozenset()
    """A training; the model before it; the answers of `behaviour`; the corpus of the base model;
    the trace of the training."""
    looks_inside: ClassVar[bool] = False
    """At activations or weights, so the model must read texts as they are."""
    asks_about_facts: ClassVar[bool] = True
    """About all of them, and so of a model that was told all of them."""

    def check(self, facts: FactSet) -> None:
        """Raise DataError for facts that this measure cannot be made on, before any training."""

    @abstractmethod
    def run(self, context: MeasureContext[M]) -> Measured:
        """Measure, write the tables, and return the numbers."""

    @classmethod
    def section(cls, run: Run, measured: Measured) -> Section:
        """Show what was found, on the page of the run."""
        part = import_module(f"{cls.__module__.rpartition('.')[0]}.section")
        found: Section = part.section(run, measured)
        return found


def run_measure(measure: Measure[M], context: MeasureContext[M]) -> Measured:
    """Run a measure; what it found lists the tables that it wrote."""
    context.written.clear()
    found = measure.run(context)
    found.tables = [*context.written]
    found.roles = context.facts.roles
    return found
