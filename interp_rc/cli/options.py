"""What several commands take, and where progress is said."""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class SeenOption(StrEnum):
    elsewhere = "elsewhere"
    nowhere = "nowhere"


class IntoOption(StrEnum):
    corrupted = "corrupted"
    clean = "clean"


class MetricOption(StrEnum):
    log_prob = "log_prob"
    probability = "probability"
    logit_difference = "logit_difference"
    rank = "rank"
    kl = "kl"


class TracedOption(StrEnum):
    probability = "probability"
    log_prob = "log_prob"
    rank = "rank"
    kl = "kl"


class AttributedOption(StrEnum):
    log_prob = "log_prob"
    probability = "probability"
    logit_difference = "logit_difference"
    kl = "kl"


class LabelSetOption(StrEnum):
    two_labels = "two_labels"
    three_labels = "three_labels"


class EntitiesOption(StrEnum):
    names = "names"
    ids = "ids"


class DeviceOption(StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"
    spread = "spread"


class InterventionOption(StrEnum):
    prompt = "prompt"
    zero = "zero"
    mean = "mean"
    noise = "noise"


Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a value, e.g. training.epochs=8."),
]
FactsFolder = Annotated[Path, typer.Argument(help="A facts folder.", metavar="FACTS")]
Out = Annotated[Path, typer.Option("--out", help="The folder to write.", metavar="DIR")]
Seen = Annotated[
    SeenOption,
    typer.Option(help="Held-out templates in the base corpus: about others (elsewhere) or not."),
]
ModelSource = Annotated[str, typer.Option(help="A hub id, or the folder of a model.")]
Revision = Annotated[str | None, typer.Option(help="Branch, tag or commit of the hub.")]
Table = Annotated[Path, typer.Option("--out", help="The table to write.", metavar="PARQUET")]
FigureFile = Annotated[
    Path | None, typer.Option(help="Draw the map too, as .svg or .png.", metavar="FILE")
]
Device = Annotated[
    DeviceOption, typer.Option(help="Where to compute; spread: layers over all devices.")
]
Memory = Annotated[
    float | None, typer.Option(min=0, help="GiB to compute in [default: half of what is free].")
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue what was interrupted.")]

Yes = Annotated[
    bool, typer.Option("--yes", help="Confirm calls to an API and their cost beforehand.")
]


def agree() -> None:
    """As if the user had confirmed everything, here and in the processes of a sweep."""
    os.environ["INTERP_RC_YES"] = "1"


def say(message: str) -> None:
    """Progress goes to stderr; stdout is for data."""
    print(message, file=sys.stderr, flush=True)
