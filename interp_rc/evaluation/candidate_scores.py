"""What candidates' scores say of each fact: the right one's, the others', its rank."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from interp_rc.evaluation.candidates import (
    Scores,
    score_tensor,
)
from interp_rc.records.nouns import Query


def corrected_scores(table: pd.DataFrame, queries: Sequence[Query]) -> Scores | None:
    """Prior-corrected log-probability: what the prompt's source adds, less what it added before.

    Each candidate's log-probability, less that after the neutral prompt, less the same difference
    under the base model. None where no model was trained.
    """
    if table.model.nunique() < 2:
        return None
    asked, neutral = (
        {
            model: score_tensor(table[table.model == model], queries, column)
            for model in ("base", "finetuned")
        }
        for column in ("log_prob", "log_prob_neutral")
    )
    return (asked["finetuned"] - neutral["finetuned"]) - (asked["base"] - neutral["base"])


def correct(scores: Scores) -> Float[np.ndarray, " fact"]:
    """The right candidate's score."""
    return np.einsum("ftf->ft", scores).mean(1)


def others(scores: Scores) -> Float[np.ndarray, " fact"]:
    """The mean score of all other candidates of the group."""
    n = len(scores)
    return (scores.sum(2) - np.einsum("ftf->ft", scores)).mean(1) / (n - 1)


def top_share(scores: Scores) -> Float[np.ndarray, " fact"]:
    """How often the right candidate has the highest score; ties share the credit."""
    best = scores == scores.max(2, keepdims=True)
    return (np.einsum("ftf->ft", best) / best.sum(2)).mean(1)


def rank_of_correct(scores: Scores) -> Float[np.ndarray, "fact template"]:
    """1 is best; among equals the middle."""
    own = np.einsum("ftf->ft", scores)[..., None]
    return 1 + (scores > own).sum(2) + ((scores == own).sum(2) - 1) / 2
