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


class LabelSetOption(StrEnum):
    two_labels = "two_labels"
    three_labels = "three_labels"


class EntitiesOption(StrEnum):
    names = "names"
    ids = "ids"


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
MODEL = typer.Option(help="A hub id, or the folder of a model.")
REVISION = typer.Option(help="Branch, tag or commit of the hub.")
RESUME = typer.Option("--resume", help="Continue what was interrupted.")
ModelSource = Annotated[str, MODEL]
Revision = Annotated[str | None, REVISION]
Resume = Annotated[bool, RESUME]

Yes = Annotated[
    bool, typer.Option("--yes", help="Confirm calls to an API and their cost beforehand.")
]


def agree() -> None:
    """As if the user had confirmed everything, here and in the processes of a sweep."""
    os.environ["INTERP_RC_YES"] = "1"


def say(message: str) -> None:
    """Progress goes to stderr; stdout is for data."""
    print(message, file=sys.stderr, flush=True)
