"""What a model says in both orders, where only its answers can be read: models behind an API."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import pandas as pd

from interp_rc.evaluation.answers import answer, answers_table
from interp_rc.evaluation.cells import cells, match_estimates
from interp_rc.evaluation.match import is_open, prefix_match
from interp_rc.facts.factset import FactSet
from interp_rc.measures.base import ANSWERS, Measure, MeasureContext
from interp_rc.models.endpoint import Endpoint
from interp_rc.models.load import Loaded
from interp_rc.models.remote import AnyModel, replies
from interp_rc.models.responses import Request, Response
from interp_rc.records.errors import DataError, ModelError
from interp_rc.records.estimates import Estimates
from interp_rc.records.nouns import Query
from interp_rc.records.options import Positive
from interp_rc.records.runs import Measured, evaluated
from interp_rc.stats.intervals import RATE
from interp_rc.stats.means import add_mean

EXTRA_TOKENS = 8
"""Beyond the target's: a chat model may begin with a mark or an article."""


class ExactMatch(Measure[AnyModel]):
    """Every held-out query asked once at temperature 0, of the model that the run leaves.

    An answer has at most `tokens` tokens (null: what its target can need).
    """

    kind: Literal["exact_match"] = "exact_match"
    takes: ClassVar = frozenset({"causal", "remote"})
    tokens: Positive | None = None

    def check(self, facts: FactSet) -> None:
        """Raises DataError for facts that this measure cannot be made on."""
        if not facts.queries:
            raise DataError("measure exact_match needs queries, and the facts have none; add some")

    def run(self, context: MeasureContext[AnyModel]) -> Measured:
        model = context.model
        queries = context.facts.queries
        seed = context.seed
        name = context.model_name
        if isinstance(model, Loaded):
            table = answer(model, queries, model=name, seed=seed)
        else:
            requests = [self.request(model.endpoint, query) for query in queries]
            found = replies(model, requests, context.run, "answers")
            refuse_cut(queries, found)
            texts = [reply.text for reply in found]
            table = answers_table(queries, texts, model=name, seed=seed)
        context.write(ANSWERS, table)
        return Measured(estimates=estimates(table, queries, seed))

    def request(self, endpoint: Endpoint, query: Query) -> Request:
        """The prompt as it stands; a chat model gets it as the user's only turn."""
        role = "user" if endpoint.protocol == "chat" else "prompt"
        # Two bytes a token is fewer than any tokenizer of a hosted model needs for names.
        tokens = self.tokens or len(query.target.encode()) // 2 + EXTRA_TOKENS
        return endpoint.request([(role, query.prompt)], temperature=0.0, max_tokens=tokens)


def refuse_cut(queries: Sequence[Query], found: Sequence[Response]) -> None:
    """Raises ModelError for answers that ended by their limit while they could become right: a
    model that thinks first has said nothing by then, and would count as wrong."""
    cut = sum(
        reply.finish == "length" and is_open(reply.text, [query.target])
        for query, reply in zip(queries, found, strict=True)
    )
    if cut:
        raise ModelError(
            f"{cut} of {len(queries)} answers were cut before they were right or wrong: allow more "
            "with the measure's `tokens` (a model that thinks first may need thousands), and "
            "continue with --resume"
        )


def estimates(answers: pd.DataFrame, queries: Sequence[Query], seed: int) -> Estimates:
    """Exact match, and how often the answer begins with any target of the group, right or wrong:
    what a model never says, it cannot say in the right place."""
    found = match_estimates(answers, queries, seed)
    said = evaluated(answers).set_index("query")
    for asked in cells(queries):
        rows = said.loc[[query.id for query in asked.queries]]
        any_target = [
            any(prefix_match(text, candidate) for candidate in query.candidates)
            for text, query in zip(rows.text, asked.queries, strict=True)
        ]
        shares = rows.assign(named=any_target).groupby("fact").named.mean()
        add_mean(found, shares, RATE, seed, quantity="any_target", **asked.of)
    return found
