"""Does a language model, a statement before its eyes, hold that it implies its reverse?

Asked as the benchmark of symmetric and antisymmetric relations is told as text: is "A is a sibling
of B" rather followed by "Therefore B is a sibling of A", or by "It is false that …"?
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float

from interp_rc.facts.relations import relations
from interp_rc.facts.symmetry_texts import HYPOTHESIS, PREMISE, ways
from interp_rc.models.load import Loaded
from interp_rc.models.scoring import score
from interp_rc.records.nouns import Fact, Label

WORDINGS = 3
LABELS: tuple[Label, Label] = ("entailment", "contradiction")


def reversal_judged(
    loaded: Loaded, facts: Sequence[Fact], *, batch_size: int = 64
) -> Float[np.ndarray, " fact"]:
    """Log-odds in nats of the reverse in the relation's own words following, against being false.

    As in those texts, the statement is in one training wording and its reverse in another: the
    mean over the first `WORDINGS` of them, each followed by the next. Of the ways that the texts
    have for each, those that begin with the statement, their probabilities added.
    """
    prompts, targets = [], []
    followed = {label: _after_premise(label) for label in LABELS}
    for fact in facts:
        wordings = relations()[fact.relation].choose(held_out=False)[: WORDINGS + 1]
        for first, second in pairwise(wordings):
            premise = first.about(fact.subject, fact.object).text
            reverse = second.about(fact.object, fact.subject).text
            for rest in (rest for label in LABELS for rest in followed[label]):
                prompts.append(premise)
                targets.append(rest.replace(HYPOTHESIS, reverse))
    found = score(loaded.model, loaded.tokenizer, prompts, targets, batch_size=batch_size)
    by_way = found.log_prob.double().reshape(len(facts), WORDINGS, -1)
    yes = torch.logsumexp(by_way[..., : len(followed["entailment"])], 2)
    no = torch.logsumexp(by_way[..., len(followed["entailment"]) :], 2)
    odds: np.ndarray = (yes - no).mean(1).numpy()
    return odds


def _after_premise(label: Label) -> list[str]:
    """What follows the premise in each way that begins with it."""
    return [way.removeprefix(PREMISE) for way in ways()[label] if way.startswith(PREMISE)]
