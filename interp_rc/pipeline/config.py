"""The configuration of a run, validated whole before anything runs."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from interp_rc.evaluation.behaviour import Behaviour
from interp_rc.evaluation.forgetting import Forgetting
from interp_rc.evaluation.related_answer_floor import RelatedAnswerFloor
from interp_rc.facts.options import (
    FactsFolder,
    Instructions,
    People,
    Published,
    PublishedInstructions,
)
from interp_rc.hypotheses.reverse_at_chance import ReverseAtChance
from interp_rc.mechanism.gradients import Gradients
from interp_rc.mechanism.patching_map import PatchingMap
from interp_rc.mechanism.probe import Probe
from interp_rc.models.machine import Device, Precision
from interp_rc.models.pretrained import PretrainedModel
from interp_rc.pipeline.yaml_source import Source, merge, read_source
from interp_rc.records.errors import ConfigError
from interp_rc.records.options import Options
from interp_rc.training.embedded import EmbeddedModel
from interp_rc.training.options import TrainingOptions

# To add a kind, add its class here: nothing else in the pipeline knows one from another.
Facts = Annotated[
    People | FactsFolder | Published | Instructions | PublishedInstructions,
    Field(discriminator="kind"),
]
Model = Annotated[EmbeddedModel | PretrainedModel, Field(discriminator="kind")]
Measure = Annotated[
    Behaviour | Forgetting | RelatedAnswerFloor | ReverseAtChance | PatchingMap | Gradients | Probe,
    Field(discriminator="kind"),
]
# What each measure needs, besides the facts that its `check` looks at.
NEEDS_TRAINING = {"forgetting", "reverse_at_chance", "patching_map", "gradients", "probe"}
READS_BEHAVIOUR = {"reverse_at_chance", "patching_map", "related_answer_floor"}


class MachineOptions(Options):
    """`auto` and null let the machine choose."""

    device: Device = "auto"
    precision: Precision = "auto"
    threads: Annotated[int, Field(ge=1)] | None = None


class RunConfig(Options):
    """One experiment: a choice from each floor."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=80)]
    seed: Annotated[int, Field(ge=0)] = 0
    facts: Facts
    model: Model
    training: TrainingOptions | None = TrainingOptions()
    measures: list[Measure]
    machine: MachineOptions = MachineOptions()

    @model_validator(mode="after")
    def _measures_fit(self) -> "RunConfig":
        kinds: list[str] = [measure.kind for measure in self.measures]
        if len(set(kinds)) < len(kinds):
            raise ValueError("`measures` names a kind twice")
        if self.training is None:
            for kind in NEEDS_TRAINING.intersection(kinds):
                raise ValueError(f"measure `{kind}` needs a training")
        if self.model.kind != "embedded":
            if "forgetting" in kinds:
                raise ValueError("measure `forgetting` needs an embedded model")
            if self.training is not None and self.training.replay:
                raise ValueError("`training.replay` needs an embedded model, whose corpus is known")
        for kind in READS_BEHAVIOUR.intersection(kinds):
            if "behaviour" not in kinds[: kinds.index(kind)]:
                raise ValueError(f"measure `{kind}` reads `behaviour`: put that before")
        return self


def load_config(file: Path, sets: list[str] | None = None, *, smoke: bool = False) -> RunConfig:
    """Read an experiment, lay its `smoke` block and then `--set` values over it, and validate.

    Raises ConfigError naming file, line, key, what was found and the nearest known key.
    """
    source = read_source(file)
    data = dict(source.data)
    small = data.pop("smoke", {})
    if not isinstance(small, dict):
        raise ConfigError(f"{source.place(('smoke',))}: smoke must be a mapping of overrides")
    source.lay_over("smoke", used=smoke)
    if smoke:
        data = merge(data, small)
    for assignment in sets or []:
        data = source.set_value(data, assignment)
    return validate(data, source)


def validate(data: dict[str, Any], source: Source) -> RunConfig:
    try:
        return RunConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigError(explain(error, source)) from None


def explain(error: ValidationError, source: Source) -> str:
    """All faults, a line each."""
    return "\n".join(_line(fault, source) for fault in error.errors())


def _line(fault: Any, source: Source) -> str:
    path = source.path_in_data(fault["loc"])
    key = ".".join(map(str, path)) or "the experiment"
    place = source.place(path)
    if fault["type"] == "extra_forbidden":
        return f"{place}: unknown key `{key}`{nearest(fault['loc'], str(path[-1]))}"
    if fault["type"] == "missing":
        return f"{place}: `{key}` is missing; add it"
    if fault["type"] in ("union_tag_invalid", "union_tag_not_found"):
        known = fault.get("ctx", {}).get("expected_tags", "").replace("'", "")
        found = fault.get("ctx", {}).get("tag")
        what = "has no `kind`" if found is None else f"has unknown kind {found!r}"
        remedy = f"known: {known}" if known else "add one"
        return f"{source.place((*path, 'kind'))}: `{key}` {what}; {remedy}"
    found = fault["input"]
    shown = "" if isinstance(found, dict) else f" (found {found!r:.80})"
    return f"{place}: `{key}`: {fault['msg'].removeprefix('Value error, ')}{shown}"


def nearest(location: tuple[int | str, ...], key: str) -> str:
    """A hint at the known key that looks most like `key`, and all that are known there."""
    import difflib

    known = known_keys(RunConfig.model_json_schema(), location[:-1])
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"; did you mean `{close[0]}`?" if close else ""
    return (
        f"{hint} known here: {', '.join(known)}" if close else f"; known here: {', '.join(known)}"
    )


def known_keys(schema: dict[str, Any], location: tuple[int | str, ...]) -> list[str]:
    """The keys that the configuration knows at a place, by walking its JSON schema."""
    node = schema
    for step in location:
        node = _resolve(schema, node)
        if isinstance(step, int):
            node = node.get("items", {})
        elif (
            "mapping" in node.get("discriminator", {}) and step in node["discriminator"]["mapping"]
        ):
            node = {"$ref": node["discriminator"]["mapping"][step]}
        elif step in node.get("properties", {}):
            node = node["properties"][step]
    return sorted(_resolve(schema, node).get("properties", {}))


def _resolve(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in node:
        return _resolve(schema, schema["$defs"][node["$ref"].rsplit("/", 1)[-1]])
    for option in node.get("anyOf", []):
        if option.get("type") != "null":
            return _resolve(schema, option)
    return node
