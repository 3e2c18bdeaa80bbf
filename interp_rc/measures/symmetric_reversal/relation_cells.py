"""Per fact of one kind of relation, asked in one direction: what the model says and prefers."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from interp_rc.evaluation.candidate_scores import correct, corrected_scores, others, top_share
from interp_rc.evaluation.candidates import Scores, score_tensor
from interp_rc.records.nouns import Query
from interp_rc.records.runs import evaluated

PerFact = Float[np.ndarray, " fact"]


class Cell(NamedTuple):
    """Per fact, of one kind asked in one direction: share of right answers, share of prompts where
    the right candidate is the likeliest, and its prior-corrected nats above the others' mean; and
    the scores of all candidates."""

    exact_match: PerFact
    candidate_accuracy: PerFact
    nats: PerFact
    scores: Scores


def relation_cell(answers: pd.DataFrame, table: pd.DataFrame, queries: Sequence[Query]) -> Cell:
    """From the tables of answers and candidates, which hold the base model beside the finetuned."""
    ids = [query.id for query in queries]
    table = table[table["query"].isin(ids)]
    corrected = corrected_scores(table, queries)
    assert corrected is not None
    raw = score_tensor(evaluated(table), queries, "log_prob")
    asked = evaluated(answers).set_index("query").loc[ids]
    said = asked.groupby("fact", sort=False).match.mean().to_numpy(float)
    nats = correct(corrected) - others(corrected)
    return Cell(said, top_share(raw), nats, raw)
