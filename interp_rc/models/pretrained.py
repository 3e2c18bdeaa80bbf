"""A base model that others trained, by hub id and revision or from a folder."""

from collections.abc import Callable
from typing import Literal

from interp_rc.facts.factset import FactSet
from interp_rc.models.load import Dtype, Loaded, load
from interp_rc.models.machine import Machine
from interp_rc.records.options import HubOrFolder, Options


class PretrainedModel(Options):
    """`source` is a hub id or a folder; `revision` a branch, tag or commit of the hub."""

    kind: Literal["pretrained"] = "pretrained"
    source: HubOrFolder
    revision: str | None = None
    dtype: Dtype = "float32"

    def known(self, facts: FactSet, seed: int) -> FactSet | None:
        """None: what is in the corpus of a model that was not made here is not known."""
        return None

    def load(
        self,
        known: FactSet | None,
        *,
        machine: Machine,
        seed: int,
        report: Callable[..., object],
        waiting: Callable[[], object],
    ) -> tuple[Loaded, bool]:
        """The model, and whether it was there already (always: nothing is trained)."""
        source = load(self.source, revision=self.revision, dtype=self.dtype, device=machine.device)
        return source, True
