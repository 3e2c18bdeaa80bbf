"""Every candidate of every query, scored: what a model prefers when it must choose."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float
from tqdm import tqdm

from interp_rc.facts.factset import DrawnFrom
from interp_rc.models.load import Loaded
from interp_rc.models.scoring import score
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import Order, Query

# Content-free input in place of the source (Zhao et al. 2021, "Calibrate before use").
NEUTRAL: dict[DrawnFrom, dict[Order, str]] = {
    "people": {"forward": "this person", "backward": "this"},
    "questions": {"forward": "What is it?", "backward": "this"},
    "couples": {"forward": "Something", "backward": "Something"},
}


def neutral_prompt(query: Query, drawn_from: DrawnFrom) -> str:
    """The query's prompt, saying nothing about whom it asks."""
    source, neutral = query.source, NEUTRAL[drawn_from][query.order]
    return query.prompt[: source.start] + neutral + query.prompt[source.end :]


def first_templates(queries: Sequence[Query], count: int | None) -> list[Query]:
    """The queries in each group's first `count` templates of each order; None keeps all."""
    templates: dict[tuple[str, str], list[str]] = {}
    for query in queries:
        known = templates.setdefault((query.group, query.order), [])
        if query.template not in known and len(known) != count:
            known.append(query.template)
    return [q for q in queries if q.template in templates[q.group, q.order]]


def score_candidates(
    loaded: Loaded,
    queries: Sequence[Query],
    *,
    model: str,
    drawn_from: DrawnFrom = "people",
    batch_size: int = 64,
) -> pd.DataFrame:
    """The table `evaluation/candidates.parquet` for one model: nats after the query's prompt
    (`log_prob`) and after its neutral form (`log_prob_neutral`), in the candidates' order."""
    asked = [(q.prompt, c) for q in queries for c in q.candidates]
    neutral = [
        (n, c) for q in queries for n in [neutral_prompt(q, drawn_from)] for c in q.candidates
    ]
    pairs = list(dict.fromkeys([*asked, *neutral]))
    with tqdm(total=len(pairs), desc=f"candidates, {model} model", disable=None) as bar:
        scores = score(
            loaded.model,
            loaded.tokenizer,
            [prompt for prompt, _ in pairs],
            [candidate for _, candidate in pairs],
            batch_size=batch_size,
            tick=bar.update,
        )
    value = dict(zip(pairs, scores.log_prob.tolist(), strict=True))
    return pd.DataFrame(
        {
            "model": model,
            "query": [q.id for q in queries for _ in q.candidates],
            "candidate": [c for q in queries for c in q.candidates],
            "correct": [c == q.target for q in queries for c in q.candidates],
            "log_prob": [value[pair] for pair in asked],
            "log_prob_neutral": [value[pair] for pair in neutral],
        }
    )


Scores = Float[np.ndarray, "fact template candidate"]


def score_tensor(table: pd.DataFrame, queries: Sequence[Query], column: str) -> Scores:
    """Scores of one group and order; the correct candidate of fact i has index i.

    Queries that the table does not hold are left out. Raises DataError unless every fact is
    asked in every template with the same candidates.
    """
    rows = table.groupby("query", sort=False)[column].apply(list).to_dict()
    queries = [q for q in queries if q.id in rows]
    facts = list(dict.fromkeys(q.fact for q in queries))
    templates = list(dict.fromkeys(q.template for q in queries))
    by_place = {(q.fact, q.template): q for q in queries}
    if len(by_place) != len(facts) * len(templates):
        raise DataError(
            f"{len(queries)} queries are not {len(facts)} facts x {len(templates)} templates; "
            "ask every fact in every template"
        )
    tensor = np.full((len(facts), len(templates), len(facts)), np.nan)
    for t, template in enumerate(templates):
        targets = [by_place[fact, template].target for fact in facts]
        for f, fact in enumerate(facts):
            query = by_place[fact, template]
            values = dict(zip(query.candidates, rows[query.id], strict=True))
            if set(values) != set(targets):
                raise DataError(
                    f"query {query.id} has other candidates than the targets of its template; "
                    "candidate accuracy needs the same set for all"
                )
            tensor[f, t] = [values[target] for target in targets]
    return tensor
