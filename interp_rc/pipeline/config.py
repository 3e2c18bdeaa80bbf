"""The configuration of a run, validated whole before anything runs."""

from pathlib import Path
from typing import Annotated, Any

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
from interp_rc.measures.attention.measure import Attention
from interp_rc.measures.behaviour.measure import Behaviour
from interp_rc.measures.bilinear.measure import BilinearProbe
from interp_rc.measures.editing.measure import Editing
from interp_rc.measures.erasure.measure import Erasure
from interp_rc.measures.exact_match.measure import ExactMatch
from interp_rc.measures.forgetting.measure import Forgetting
from interp_rc.measures.gradients.measure import Gradients
from interp_rc.measures.in_context.measure import InContext
from interp_rc.measures.integrated_gradients.measure import IntegratedGradients
from interp_rc.measures.lens.measure import Lens
from interp_rc.measures.memories.measure import Memories
from interp_rc.measures.movement.measure import Movement
from interp_rc.measures.parents.measure import Parents as ParentsMeasure
from interp_rc.measures.patching_map.measure import PatchingMap
from interp_rc.measures.probe.measure import Probe
from interp_rc.measures.related_answer_floor.measure import RelatedAnswerFloor
from interp_rc.measures.reverse_at_chance.measure import ReverseAtChance
from interp_rc.measures.symmetric_reversal.measure import SymmetricReversal
from interp_rc.measures.symmetry.measure import Symmetry as SymmetryMeasure
from interp_rc.measures.symmetry_where.measure import SymmetryWhere
from interp_rc.measures.trace.measure import Trace
from interp_rc.measures.transplant.measure import Transplant
from interp_rc.measures.transposition.measure import Transposition
from interp_rc.measures.update_geometry.measure import UpdateGeometry
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
Measure = Annotated[
    Behaviour
    | ExactMatch
    | Forgetting
    | InContext
    | ParentsMeasure
    | RelatedAnswerFloor
    | SymmetryMeasure
    | ReverseAtChance
    | SymmetricReversal
    | PatchingMap
    | Gradients
    | IntegratedGradients
    | Movement
    | Probe
    | Memories
    | Transposition
    | Lens
    | Attention
    | BilinearProbe
    | UpdateGeometry
    | Erasure
    | Editing
    | Transplant
    | SymmetryWhere
    | Trace,
    Field(discriminator="kind"),
]
TAKES_ENCODER = {"symmetry", "symmetry_where"}
TOOLS = [
    "patching_map",
    "gradients",
    "integrated_gradients",
    "movement",
    "probe",
    "memories",
    "transposition",
    "lens",
    "attention",
    "bilinear",
    "update_geometry",
    "erasure",
    "editing",
    "transplant",
]
"""Measures that look inside a language model, which `interp-rc mechanism` runs one of."""
# What each measure needs, besides the facts that its `check` looks at.
NEEDS_TRAINING = {"forgetting", "reverse_at_chance", "symmetric_reversal", "trace"}
ASKS_ABOUT_THE_CORPUS = {"forgetting"}
NEEDS_BASE = {"gradients", "transplant", "update_geometry"}
NEEDS_PLAIN_MODEL = set(TOOLS)
TAKES_REMOTE = {"exact_match", "parents"}
ENCODERS = {"encoder", "new_encoder"}
MINDS_WHAT_WAS_TOLD = {"forgetting", "trace"}
READS_BEHAVIOUR = {
    "reverse_at_chance",
    "symmetric_reversal",
    "patching_map",
    "related_answer_floor",
    "memories",
    "lens",
    "attention",
    "integrated_gradients",
    "erasure",
    "editing",
    "transplant",
}


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
    measures: list[Measure]
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
            for kind in NEEDS_TRAINING.intersection(kinds):
                raise ValueError(f"measure `{kind}` needs a training")
            for kind in NEEDS_BASE.intersection(kinds) if self.base is None else ():
                raise ValueError(
                    f"measure `{kind}` needs the model before it was finetuned: give `base` (or "
                    "`--base`), or a training"
                )
        else:
            if self.base is not None:
                raise ValueError(
                    "`base` is of runs without training; with one, the base is `model`"
                )
            self._training_fits(self.training, kinds)
        self._reads_pairs(kinds)
        if self.model.kind == "endpoint":
            self._asks_an_endpoint(kinds)
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
        for kind in READS_BEHAVIOUR.intersection(kinds):
            if "behaviour" not in kinds[: kinds.index(kind)]:
                raise ValueError(f"measure `{kind}` reads `behaviour`: put that before")
        return self

    def made(self) -> list[Measure]:
        """The measures that can be made of this model: all, but for what asks about a corpus that
        is not known. Experiments name that for their embedded model, and take others all the same.
        """
        if self.model.kind == "embedded":
            return self.measures
        return [one for one in self.measures if one.kind not in ASKS_ABOUT_THE_CORPUS]

    def _reads_pairs(self, kinds: list[str]) -> None:
        """Encoders are measured by what asks about pairs, and language models by the rest."""
        encodes = self.model.kind in ENCODERS
        for kind in kinds:
            if encodes and kind not in TAKES_ENCODER:
                raise ValueError(
                    f"measure `{kind}` asks a language model; of an encoder can be made: "
                    f"{', '.join(sorted(TAKES_ENCODER))}"
                )
            if not encodes and kind in TAKES_ENCODER:
                raise ValueError(
                    f"measure `{kind}` needs an encoder: give a model of kind "
                    f"{' or '.join(sorted(ENCODERS))}"
                )
        if encodes and (self.training is not None or self.base is not None):
            raise ValueError(
                "an encoder is trained by what measures it, on copies: give `training: null` and "
                "no `base`"
            )

    def _asks_an_endpoint(self, kinds: list[str]) -> None:
        if self.training is not None and self.training.kind != "hosted":
            raise ValueError(
                "a model behind an API is not trained here: give `training: null`, or have it "
                "finetuned there with `training: {kind: hosted}`"
            )
        if self.base is not None:
            raise ValueError("`base` is of models that are loaded here, not of those behind an API")
        for kind in kinds:
            if kind not in TAKES_REMOTE:
                raise ValueError(
                    f"measure `{kind}` needs a model that is loaded here; of one behind an API "
                    f"`measures` can be: {', '.join(sorted(TAKES_REMOTE))}"
                )

    @staticmethod
    def _training_fits(training: AnyTraining, kinds: list[str]) -> None:
        if training.kind == "prompt_tuning":
            for kind in NEEDS_PLAIN_MODEL.intersection(kinds):
                raise ValueError(
                    f"measure `{kind}` looks inside a model that reads texts as they are, and "
                    "prompt tuning puts a soft prompt before them: use training.kind=finetune"
                )
        if "trace" in kinds and training.trace is None:
            raise ValueError("measure `trace` needs `training.trace`, e.g. {every: 1}")
        if training.only is not None:
            for kind in set(kinds) - MINDS_WHAT_WAS_TOLD:
                raise ValueError(
                    f"measure `{kind}` asks about facts that `training.only` leaves untold: "
                    "leave one of them out"
                )


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
