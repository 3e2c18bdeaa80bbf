"""Does a language model, a statement before its eyes, hold that it implies its reverse?

Asked as the benchmark of symmetric and antisymmetric relations is told as text: is "A is a sibling
of B" rather followed by "Therefore B is a sibling of A", or by "It is false that …"?
"""

from collections.abc import Sequence
from itertools import islice

import numpy as np
import torch
from jaxtyping import Float

from interp_rc.facts.symmetry_pairs import symmetry_pairs
from interp_rc.facts.symmetry_texts import HYPOTHESIS, PREMISE, ways
from interp_rc.models.load import Loaded
from interp_rc.models.scoring import score
from interp_rc.records.nouns import Label, Pair

LABELS: tuple[Label, Label] = ("entailment", "contradiction")

STATEMENTS = 60


def reversed_pairs(seed: int, relation: str) -> list[Pair]:
    """`STATEMENTS` statements in one relation with their reverse, about entities of the test split:
    texts that a model learns from tell of none of these."""
    every = symmetry_pairs(
        seed,
        10 * STATEMENTS,
        label_set="three_labels",
        entities="names",
        split="test",
        about={relation},
    )
    return list(islice((pair for pair in every if pair.form == "swapped"), STATEMENTS))


def reversal_judged(
    loaded: Loaded, pairs: Sequence[Pair], *, batch_size: int = 64
) -> Float[np.ndarray, " pair"]:
    """Log-odds in nats of each pair's hypothesis following from its premise, against being false.

    Of the ways that the benchmark's texts have for each, those that begin with the premise, their
    probabilities added. What is shorter is likelier: only differences between pairs tell anything.
    """
    followed = {label: _after_premise(label) for label in LABELS}
    rests = [rest for label in LABELS for rest in followed[label]]
    prompts = [pair.premise for pair in pairs for _ in rests]
    targets = [rest.replace(HYPOTHESIS, pair.hypothesis) for pair in pairs for rest in rests]
    found = score(loaded.model, loaded.tokenizer, prompts, targets, batch_size=batch_size)
    by_way = found.log_prob.double().reshape(len(pairs), -1)
    first = len(followed["entailment"])
    odds: np.ndarray = (
        torch.logsumexp(by_way[:, :first], 1) - torch.logsumexp(by_way[:, first:], 1)
    ).numpy()
    return odds


def _after_premise(label: Label) -> list[str]:
    """What follows the premise in each way that begins with it."""
    return [way.removeprefix(PREMISE) for way in ways()[label] if way.startswith(PREMISE)]
