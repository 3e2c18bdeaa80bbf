"""Base of every block of options: unknown keys are errors, values are checked, nothing changes."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from interp_rc.records.limits import MOST_COUNT, MOST_SEED, MOST_WORKERS


def _absolute(path: Path) -> Path:
    if "\0" in str(path):
        raise ValueError("a path holds no NUL character")
    try:
        return path.expanduser().absolute()
    except RuntimeError:
        raise ValueError("there is no such user; write the whole path") from None


def _whole_folder(source: str) -> str:
    try:
        return str(Path(source).absolute()) if Path(source).is_dir() else source
    except OSError:  # too long for a name
        return source


Positive = Annotated[int, Field(ge=1, le=MOST_COUNT)]
Count = Annotated[int, Field(ge=0, le=MOST_COUNT)]
Seed = Annotated[int, Field(ge=0, le=MOST_SEED)]
Workers = Annotated[int, Field(ge=1, le=MOST_WORKERS)]
# A run's resolved configuration must mean the same from any working directory.
AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
HubOrFolder = Annotated[str, AfterValidator(_whole_folder)]
"""The id of a model on a hub, or its folder."""


class Options(BaseModel):
    """A part of the configuration."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False
    )
