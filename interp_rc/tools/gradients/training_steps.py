"""Real steps of training that leave no trace."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn
from transformers import PreTrainedModel

from interp_rc.models.causality import prove_causal
from interp_rc.models.evaluating import evaluating
from interp_rc.models.load import Loaded
from interp_rc.records.nouns import Document
from interp_rc.training.batches import Batches
from interp_rc.training.options import TrainingOptions


@contextmanager
def restored(model: PreTrainedModel, some: Iterable[nn.Parameter] | None = None) -> Iterator[None]:
    """Afterwards the weights (or `some` of them) are exactly the old ones, and open to gradients
    as they were."""
    unique = {id(p): p for p in (model.parameters() if some is None else some)}
    weights = list(unique.values())
    before = [(p.detach().clone(), p.requires_grad) for p in weights]
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, (old, needed) in zip(weights, before, strict=True):
                parameter.copy_(old)
                parameter.requires_grad_(needed)
                parameter.grad = None


def optimizer_of(model: PreTrainedModel, training: TrainingOptions) -> torch.optim.AdamW:
    """AdamW as the run's training has it: decay of matrices only; all weights move, also where
    the run trains adapters."""
    weights = list(model.requires_grad_(True).parameters())
    groups = [
        {"params": [p for p in weights if p.ndim > 1], "weight_decay": training.weight_decay},
        {"params": [p for p in weights if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=training.learning_rate, betas=training.betas, fused=True)


def learn(
    loaded: Loaded,
    documents: Sequence[Document],
    training: TrainingOptions,
    optimizer: torch.optim.AdamW,
) -> None:
    """One step on a batch of these documents, with the run's objective and clipping, in
    evaluation mode: no dropout. Raises ScoringError for a model that is not causal."""
    prove_causal(loaded.model)
    examples = training.objective.examples(loaded.tokenizer, documents)
    batch = Batches(examples, [range(len(examples))])[0]
    batch = {name: value.to(loaded.model.device) for name, value in batch.items()}
    optimizer.zero_grad()  # whoever trained the model may have left some
    with evaluating(loaded.model), torch.enable_grad():
        training.objective.loss(loaded.model, batch).backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(loaded.model.parameters(), training.clip)
    optimizer.step()
