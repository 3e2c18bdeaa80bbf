"""The configuration of a run, validated whole before anything runs."""

from functools import reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, ValidationError, field_validator, model_validator

from interp_rc.facts.options import (
    FactsFolder,
    Instructions,
    Parents,
    People,
    Published,
    PublishedInstructions,
    PublishedSymmetry,
    Relations,
)
from interp_rc.facts.options import Symmetry as SymmetryFacts
from interp_rc.measures.base import Measure
from interp_rc.measures.registry import MEASURES, measure_class
from interp_rc.models.encoder_options import EncoderModel, NewEncoder
from interp_rc.models.machine import Device, Precision
from interp_rc.models.pretrained import PretrainedModel
from interp_rc.models.remote import EndpointModel
from interp_rc.pipeline.experiment_file import read_experiment
from interp_rc.pipeline.faults import explain
from interp_rc.pipeline.yaml_source import Source
from interp_rc.records.errors import ConfigError
from interp_rc.records.options import Options, Seed, Workers
from interp_rc.training.embedded import EmbeddedModel
from interp_rc.training.options import AnyTraining, HostedFinetuning, PromptTuning, TrainingOptions

# To add a kind, add its class here: nothing else in the pipeline knows one from another.
Facts = Annotated[
    People
    | FactsFolder
    | Published
    | Instructions
    | PublishedInstructions
    | Parents
    | PublishedSymmetry
    | Relations
    | SymmetryFacts,
    Field(discriminator="kind"),
]
Model = Annotated[
    EmbeddedModel | PretrainedModel | EndpointModel | EncoderModel | NewEncoder,
    Field(discriminator="kind"),
]
Training = Annotated[TrainingOptions | PromptTuning | HostedFinetuning, Field(discriminator="kind")]
if TYPE_CHECKING:
    AnyMeasure = Measure[Any]
else:
    AnyMeasure = Annotated[
        reduce(or_, map(measure_class, MEASURES)),
        Field(discriminator="kind"),
    ]
ENCODERS = {"encoder", "new_encoder"}


class MachineOptions(Options):
    """`auto` and null let the machine choose."""

    device: Device = "auto"
    precision: Precision = "auto"
    threads: Workers | None = None


class RunConfig(Options):
    """One experiment: a choice from each floor.

    `base` is what the model was before somebody finetuned it, for runs without training.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=80)]
    seed: Seed = 0
    facts: Facts
    model: Model
    base: PretrainedModel | None = None
    training: Training | None = TrainingOptions()
    measures: list[AnyMeasure]
    machine: MachineOptions = MachineOptions()

    @field_validator("training", mode="before")
    @classmethod
    def _finetuning_unless_said(cls, value: Any) -> Any:
        return {"kind": "finetune", **value} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _measures_fit(self) -> "RunConfig":
        kinds: list[str] = [measure.kind for measure in self.measures]
        if len(set(kinds)) < len(kinds):
            raise ValueError("`measures` names a kind twice")
        if {"behaviour", "exact_match"} <= set(kinds):
            raise ValueError("`behaviour` measures exact match, too: leave `exact_match` out")
        if self.training is None:
            self._needs_no_training()
        else:
            if self.base is not None:
                raise ValueError(
                    "`base` is of runs without training; with one, the base is `model`"
                )
            self._training_fits(self.training)
        self._reads_pairs()
        if self.model.kind == "endpoint":
            self._asks_an_endpoint()
        elif self.training is not None and self.training.kind == "hosted":
            raise ValueError(
                "`training.kind: hosted` is of models behind an API (kind `endpoint`): give "
                "`training: {kind: finetune}`, or null"
            )
        if self.model.kind != "embedded":
            if kinds and not self.made():
                raise ValueError(
                    "measure `forgetting` asks about the corpus of an embedded model, and nothing "
                    "else is measured: add to `measures`, e.g. {kind: behaviour}"
                )
            if isinstance(self.training, TrainingOptions) and self.training.replay:
                raise ValueError(
                    "`training.replay` needs an embedded model, whose corpus is known: set it to 0"
                )
        for place, measure in enumerate(self.measures):
            if "answers" in measure.needs and "behaviour" not in kinds[:place]:
                raise ValueError(f"measure `{measure.kind}` reads `behaviour`: put that before")
        return self

    def _needs_no_training(self) -> None:
        for measure in self.measures:
            if "training" in measure.needs:
                raise ValueError(f"measure `{measure.kind}` needs a training")
            if "base" in measure.needs and self.base is None:
                raise ValueError(
                    f"measure `{measure.kind}` needs the model before it was finetuned: give "
                    "`base` (or `--base`), or a training"
                )

    def made(self) -> list[AnyMeasure]:
        """The measures that can be made of this model: all, but for what asks about a corpus that
        is not known. Experiments name that for their embedded model, and take others all the same.
        """
        if self.model.kind == "embedded":
            return self.measures
        return [measure for measure in self.measures if "corpus" not in measure.needs]

    def _reads_pairs(self) -> None:
        """Encoders are measured by what asks about pairs, and language models by the rest."""
        encodes = self.model.kind in ENCODERS
        for measure in self.measures:
            if encodes and "encoder" not in measure.takes:
                raise ValueError(
                    f"measure `{measure.kind}` asks a language model; of an encoder can be made: "
                    f"{that_take('encoder')}"
                )
            if not encodes and measure.takes == {"encoder"}:
                raise ValueError(
                    f"measure `{measure.kind}` needs an encoder: give a model of kind "
                    f"{' or '.join(sorted(ENCODERS))}"
                )
        if encodes and (self.training is not None or self.base is not None):
            raise ValueError(
                "an encoder is trained by what measures it, on copies: give `training: null` and "
                "no `base`"
            )

    def _asks_an_endpoint(self) -> None:
        if self.training is not None and self.training.kind != "hosted":
            raise ValueError(
                "a model behind an API is not trained here: give `training: null`, or have it "
                "finetuned there with `training: {kind: hosted}`"
            )
        if self.base is not None:
            raise ValueError("`base` is of models that are loaded here, not of those behind an API")
        for measure in self.measures:
            if "remote" not in measure.takes:
                raise ValueError(
                    f"measure `{measure.kind}` needs a model that is loaded here; of one behind an "
                    f"API `measures` can be: {that_take('remote')}"
                )

    def _training_fits(self, training: AnyTraining) -> None:
        for measure in self.measures:
            if training.kind == "prompt_tuning" and measure.looks_inside:
                raise ValueError(
                    f"measure `{measure.kind}` looks inside a model that reads texts as they are, "
                    "and prompt tuning puts a soft prompt before them: use training.kind=finetune"
                )
            if "trace" in measure.needs and training.trace is None:
                raise ValueError(
                    f"measure `{measure.kind}` needs `training.trace`, e.g. {{every: 1}}"
                )
            if training.only is not None and measure.asks_about_facts:
                raise ValueError(
                    f"measure `{measure.kind}` asks about facts that `training.only` leaves "
                    "untold: leave one of them out"
                )


def that_take(model: str) -> str:
    """The kinds of measures that can be made of a kind of model."""
    return ", ".join(sorted(k for k in MEASURES if model in measure_class(k).takes))


def load_config(file: Path, sets: list[str] | None = None, *, smoke: bool = False) -> RunConfig:
    """Read an experiment, lay its `smoke` block and then `--set` values over it, and validate.

    Raises ConfigError naming file, line, key, what was found and the nearest known key; also for
    an experiment that is a sweep of many runs.
    """
    experiment = read_experiment(file, sets, smoke=smoke)
    if experiment.sweep is not None:
        raise ConfigError(
            f"{experiment.source.place(('sweep',))}: this experiment is a sweep of runs; start it "
            "with `interp-rc run`, or make it one run with --set sweep=null"
        )
    return validate(experiment.data, experiment.source)


def validate(data: dict[str, Any], source: Source) -> RunConfig:
    try:
        return RunConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigError(explain(error, source, data, RunConfig)) from None
