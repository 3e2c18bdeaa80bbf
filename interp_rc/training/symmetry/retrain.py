"""Retrain a copy of an encoder on pairs, by one of the four methods."""

from collections.abc import Sequence

import torch
from torch import Tensor

from interp_rc.models.encoder import Encoder
from interp_rc.models.finite import check_finite
from interp_rc.records.errors import ModelError
from interp_rc.records.nouns import Label, Pair
from interp_rc.records.seeds import derive_seed
from interp_rc.training.symmetry.batches import batches
from interp_rc.training.symmetry.judge import Judge
from interp_rc.training.symmetry.methods import Rule
from interp_rc.training.symmetry.options import Retraining
from interp_rc.training.symmetry.reading import Tokens, vectors_of
from interp_rc.training.symmetry.rows import only_rows_of
from interp_rc.training.train import Report, check_loss


def retrain(
    encoder: Encoder,
    pairs: Sequence[Pair],
    options: Retraining,
    seed: int,
    report: Report = lambda step, steps, loss: None,
) -> Judge:
    """A judge of pairs, with a retrained copy of the encoder, or the one given where no epochs are
    asked for; that one stays as it is.

    A function of its arguments alone, so that the same ones give the same judge, in whatever
    thread: there is no dropout, whose numbers all threads draw from one generator, and which takes
    a quarter of the time on a CPU.

    Raises ModelError for pairs that hold fewer than two labels, for an encoder whose weights are
    not finite, and at the step at which the loss no longer is.
    """
    labels = tuple(sorted({pair.label for pair in pairs}))
    if len(labels) < 2:
        raise ModelError(
            f"{len(pairs)} pairs with {len(labels)} label{'s' * (len(labels) != 1)} "
            f"({', '.join(labels) or 'none'}) teach no difference; give pairs of two labels or more"
        )
    check_finite(encoder.model, "the encoder to retrain")
    seed = derive_seed(seed, "retrain")
    learner = encoder.copy() if options.epochs else encoder
    rule = options.rule(labels, encoder.width, seed)
    if options.epochs:
        _train(learner, rule, pairs, labels, options, seed, report)
    remembered = pairs if rule.neighbours else ()
    return Judge(
        encoder=learner,
        labels=labels,
        rule=rule,
        voters=options.neighbours,
        kept=vectors_of(learner, remembered, rule.together),
        kept_labels=tuple(pair.label for pair in remembered),
    )


def _train(
    learner: Encoder,
    rule: Rule,
    pairs: Sequence[Pair],
    labels: tuple[Label, ...],
    options: Retraining,
    seed: int,
    report: Report,
) -> None:
    """In place."""
    learner.model.eval()  # no dropout, in whatever mode the encoder was left
    own = [labels.index(pair.label) for pair in pairs]
    tokens = Tokens.of(learner, pairs, rule.together)
    plan = [
        batch
        for epoch in range(options.epochs)
        for batch in batches(
            own, options.pairs_at_once, mixed=rule.neighbours, seed=seed, epoch=epoch
        )
    ]
    if learner.model.device.type == "cpu":
        # Fused attention takes half as long again to train with, on CPUs and in bfloat16.
        learner.body.set_attn_implementation("eager")
    with only_rows_of(learner.body, tokens.features["input_ids"]):
        adam = _adam(learner, rule, options)
        for step, batch in enumerate(plan, start=1):
            vectors = tokens.vectors(batch)
            loss = rule.loss(vectors, torch.tensor([own[at] for at in batch]).to(vectors.device))
            check_loss(loss.detach(), step, len(plan), f"learning_rate of method {options.method}")
            adam.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
            report(step, len(plan), float(loss.detach()))


def _adam(learner: Encoder, rule: Rule, options: Retraining) -> torch.optim.Adam:
    every: list[Tensor] = [*learner.model.parameters(), *rule.trained()]
    trained = [weights for weights in every if weights.requires_grad]
    return torch.optim.Adam(trained, lr=options.learning_rate, fused=True)
