"""What a user chooses about a training."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from interp_rc.facts.factset import FactSet
from interp_rc.records.errors import ConfigError
from interp_rc.records.nouns import Document
from interp_rc.records.options import Options, Positive
from interp_rc.training.objectives.next_token import NextToken
from interp_rc.training.sample import Tracing


class Lora(Options):
    """Low-rank adapters (Hu et al. 2021) on every linear layer but the output rows."""

    rank: Positive = 8
    alpha: Annotated[float, Field(gt=0)] = 16.0


class Told(Options):
    """`only` tells the facts of one group and leaves the others untold."""

    only: str | None = None

    def told(self, facts: FactSet) -> list[Document]:
        """The documents to learn from. Raises ConfigError if there are none about `only`."""
        if self.only is None:
            return facts.documents
        group = {fact.id: fact.group for fact in facts.facts}
        documents = [d for d in facts.documents if group[d.fact] == self.only]
        if not documents:
            known = ", ".join(dict.fromkeys(group.values()))
            raise ConfigError(f"training.only: no document is about group {self.only!r} ({known})")
        return documents


class Schedule(Told):
    """AdamW with linear warm-up and cosine decay to a tenth.

    `trace` asks while the model learns.
    """

    objective: NextToken = NextToken()
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    epochs: Positive = 3
    batch_size: Positive = 32
    accumulation: Positive = 1
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.05
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    betas: tuple[float, float] = (0.9, 0.99)
    clip: Annotated[float, Field(gt=0)] = 1.0
    checkpoint_steps: Positive = 200
    trace: Tracing | None = None


class TrainingOptions(Schedule):
    """All weights learn, or low-rank adapters that are then merged into them."""

    kind: Literal["finetune"] = "finetune"
    replay: Annotated[float, Field(ge=0)] = 0.0  # base documents per finetuning document
    lora: Lora | None = None


class PromptTuning(Schedule):
    """Only a soft prompt of `virtual_tokens` embeddings learns (Lester et al. 2021; appendix B.8
    of the Reversal Curse paper); the model behind it stays as it is."""

    kind: Literal["prompt_tuning"] = "prompt_tuning"
    virtual_tokens: Positive = 20


class HostedFinetuning(Told):
    """At the API of an `endpoint` model, by means that its provider keeps to itself.

    What is null, the API chooses; `learning_rate_multiplier` is of the rate that it takes for
    right. The new model's name ends in `suffix`. The job is looked at every `poll` seconds, and
    may wait `patience` hours before it begins. `price` in dollars for a million trained tokens.
    """

    kind: Literal["hosted"] = "hosted"
    epochs: Positive = 3
    batch_size: Positive | None = None
    learning_rate_multiplier: Annotated[float, Field(gt=0)] | None = None
    suffix: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")] = "interp-rc"
    poll: Annotated[float, Field(gt=0)] = 20.0
    patience: Annotated[float, Field(gt=0)] = 24.0
    price: Annotated[float, Field(ge=0)] | None = None
    trace: ClassVar[None] = None
    """Nobody can ask a model that is still being made."""


AnyTraining = TrainingOptions | PromptTuning | HostedFinetuning
