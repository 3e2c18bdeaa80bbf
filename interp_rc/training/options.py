"""What a user chooses about a training."""

from typing import Annotated, Literal

from pydantic import Field

from interp_rc.records.options import Options, Positive
from interp_rc.training.objectives.next_token import NextToken


class Lora(Options):
    """Low-rank adapters (Hu et al. 2021) on every linear layer but the output rows."""

    rank: Positive = 8
    alpha: Annotated[float, Field(gt=0)] = 16.0


class TrainingOptions(Options):
    """AdamW with linear warm-up and cosine decay to a tenth."""

    kind: Literal["finetune"] = "finetune"
    objective: NextToken = NextToken()
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    epochs: Positive = 3
    batch_size: Positive = 32
    accumulation: Positive = 1
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.05
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    betas: tuple[float, float] = (0.9, 0.99)
    clip: Annotated[float, Field(gt=0)] = 1.0
    replay: Annotated[float, Field(ge=0)] = 0.0  # base documents per finetuning document
    lora: Lora | None = None
    checkpoint_steps: Positive = 200
