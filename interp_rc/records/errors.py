"""Our own exceptions. Each message names the place, what was found, and what to do."""


class InterpError(Exception):
    """Base of all errors of this package; the command line prints it in one line, exit code 1."""


class DataError(InterpError):
    """A fact, document or query file that cannot be used."""

    def __init__(self, message: str, *, file: object = None, line: int | None = None) -> None:
        place = "" if file is None else f"{file}:{line}: " if line else f"{file}: "
        super().__init__(place + message)


class ConfigError(InterpError):
    """A configuration that cannot be run."""


class RunError(InterpError):
    """A run folder that is missing, unfinished, locked or in conflict with what is asked."""


class ModelError(InterpError):
    """A model that cannot be found, loaded, built or trained."""


class ScoringError(InterpError):
    """A prompt and target that cannot be scored."""


class StatsError(InterpError):
    """Numbers that a statistic cannot be computed from."""
