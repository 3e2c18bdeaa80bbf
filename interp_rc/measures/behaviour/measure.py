"""What the model says in both orders: exact match, likelihood, and choice among candidates."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Float

from interp_rc.evaluation.answers import answer
from interp_rc.evaluation.candidate_scores import (
    correct,
    corrected_scores,
    others,
    rank_of_correct,
    top_share,
)
from interp_rc.evaluation.candidates import (
    Scores,
    first_templates,
    score_candidates,
    score_tensor,
)
from interp_rc.evaluation.cells import cells, match_estimates
from interp_rc.facts.factset import FactSet
from interp_rc.measures.base import ANSWERS, CANDIDATES, Measure, MeasureContext
from interp_rc.models.load import Loaded
from interp_rc.records.errors import DataError
from interp_rc.records.estimates import Estimates
from interp_rc.records.nouns import Query
from interp_rc.records.numbers import Estimate
from interp_rc.records.options import Positive
from interp_rc.records.runs import Measured, evaluated
from interp_rc.stats.means import add_mean


class Behaviour(Measure[Loaded]):
    """Both orders asked of the finetuned model and, for comparison, of the base model.

    Every query is answered. Candidates, which cost thirty times as much, are scored in the first
    `candidate_templates` templates of each order (null: in all).
    """

    kind: Literal["behaviour"] = "behaviour"
    candidate_templates: Positive | None = 3
    batch_size: Positive = 64

    def check(self, facts: FactSet) -> None:
        """Raises DataError for facts that this measure cannot be made on."""
        if not facts.queries:
            raise DataError("measure behaviour needs queries, and the facts have none; add some")
        for group, count in Counter(q.group for q in facts.queries).items():
            if len({q.fact for q in facts.queries if q.group == group}) < 2:
                raise DataError(
                    f"measure behaviour needs two facts or more in group {group}, where {count} "
                    "queries ask for one; add facts, or leave the group out"
                )

    def run(self, context: MeasureContext[Loaded]) -> Measured:
        queries = context.facts.queries
        seed = context.seed
        answers, candidates = [], []
        for name, loaded in context.models.items():
            answers.append(
                answer(loaded, queries, model=name, seed=seed, batch_size=self.batch_size)
            )
            candidates.append(
                score_candidates(
                    loaded,
                    first_templates(queries, self.candidate_templates),
                    model=name,
                    drawn_from=context.facts.drawn_from,
                    batch_size=self.batch_size,
                )
            )
        tables = {ANSWERS: pd.concat(answers), CANDIDATES: pd.concat(candidates)}
        for name, table in tables.items():
            context.write(name, table)
        return Measured(estimates(tables[ANSWERS], tables[CANDIDATES], queries, seed))


def estimates(
    answers: pd.DataFrame, candidates: pd.DataFrame, queries: Sequence[Query], seed: int
) -> Estimates:
    """Every number with its bootstrap interval over facts."""
    found = match_estimates(answers, queries, seed)
    for asked in cells(queries):
        for (quantity, target), (values, unit) in candidate_numbers(
            candidates, asked.queries
        ).items():
            add_mean(
                found, values, unit, seed, "bootstrap", quantity=quantity, **asked.of, target=target
            )
        found.add(median_rank(candidates, asked.queries), quantity="median_rank", **asked.of)
    return found


def median_rank(candidates: pd.DataFrame, queries: Sequence[Query]) -> Estimate:
    """The right candidate's rank in the middle query of all; facts have each several, so it has no
    interval. n counts facts, and so candidates."""
    ranks = rank_of_correct(score_tensor(evaluated(candidates), queries, "log_prob"))
    return Estimate(float(np.median(ranks)), None, None, len(ranks), "rank")


def candidate_numbers(
    table: pd.DataFrame, queries: Sequence[Query]
) -> dict[tuple[str, str | None], tuple[Float[np.ndarray, " fact"], str]]:
    """Per fact, averaged over templates, with its unit: by quantity and whose it is."""
    scores = score_tensor(evaluated(table), queries, "log_prob")
    rank = rank_of_correct(scores)
    numbers = _choice("", scores) | {
        ("rank", None): (rank.mean(1), "rank"),
        ("reciprocal_rank", None): ((1 / rank).mean(1), "fraction"),
    }
    corrected = corrected_scores(table, queries)
    if corrected is not None:
        base = score_tensor(table[table.model == "base"], queries, "log_prob")
        numbers |= _choice("_corrected", corrected)
        numbers["gain", None] = (correct(scores) - correct(base), "nat")
    return numbers


def _choice(
    how: str, scores: Scores
) -> dict[tuple[str, str | None], tuple[Float[np.ndarray, " fact"], str]]:
    """Log-probabilities of the right and of the other candidates, and how often the first wins."""
    right, wrong = correct(scores), others(scores)
    sides = {"correct": right, "random": wrong, "difference": right - wrong}
    return {
        **{(f"log_prob{how}", target): (values, "nat") for target, values in sides.items()},
        (f"candidate_accuracy{how}", None): (top_share(scores), "fraction"),
    }
