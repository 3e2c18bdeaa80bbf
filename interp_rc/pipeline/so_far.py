"""What an interrupted command has found so far, beside the table that it is to write."""

import warnings
from collections.abc import Callable
from pathlib import Path
from shutil import rmtree

from interp_rc.engine.effects import Effects
from interp_rc.engine.store import OtherSweepError, digest_of
from interp_rc.records.errors import ConfigError, InterpError
from interp_rc.records.files import write_json
from interp_rc.records.strict_json import read_json

COMMAND = "command.json"


class SoFar:
    """The folder of a command's batches; `command` is all that its numbers depend on.

    Raises ConfigError if this very command has found something that is not to be resumed. What
    another command has left there is in nobody's way: it is replaced, and a warning says so.
    """

    def __init__(self, out: Path, command: object, *, resume: bool) -> None:
        self.folder = out.with_name(f"{out.name}.so_far")
        self._key = {"command": digest_of(command)}
        if not self._holds_something():
            self.remove()
        elif not (self.folder / COMMAND).exists() or read_json(self.folder / COMMAND) != self._key:
            self._replace("another command")
        elif not resume:
            raise ConfigError(
                f"{self.folder} holds what an interrupted sweep has found; add --resume to "
                "continue it, or remove it"
            )

    def keep(self, compute: Callable[[], Effects]) -> Effects:
        """What `compute` gives, which keeps its batches in `folder`. Where it fails before it has
        found anything, nothing is left."""
        write_json(self.folder / COMMAND, self._key)
        try:
            return compute()
        except OtherSweepError:
            self._replace("the same command with other weights")
            write_json(self.folder / COMMAND, self._key)
            return compute()
        except InterpError:
            if not self._holds_something():
                self.remove()
            raise

    def remove(self) -> None:
        rmtree(self.folder, ignore_errors=True)

    def _holds_something(self) -> bool:
        return any(self.folder.rglob("batch-*.json"))

    def _replace(self, whose: str) -> None:
        warnings.warn(f"{self.folder} holds what {whose} has found; it is replaced", stacklevel=4)
        self.remove()
