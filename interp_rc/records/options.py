"""Base of every block of options: unknown keys are errors, values are checked, nothing changes."""

from pydantic import BaseModel, ConfigDict


class Options(BaseModel):
    """A part of the configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
