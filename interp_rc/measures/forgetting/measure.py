"""What finetuning did to what the base model knew, and the curse in pretraining itself."""

from typing import ClassVar, Literal

import pandas as pd

from interp_rc.evaluation.answers import answer
from interp_rc.evaluation.cells import by_direction, cells, pooled_match
from interp_rc.facts.factset import FactSet
from interp_rc.measures.base import Measure, MeasureContext
from interp_rc.models.load import Loaded
from interp_rc.records.estimates import Estimates
from interp_rc.records.options import Positive
from interp_rc.records.runs import Measured
from interp_rc.stats.intervals import RATE
from interp_rc.stats.means import add_mean

TABLE, MATCH = "evaluation/base_answers", "exact_match"


class Forgetting(Measure[Loaded]):
    """Queries about the base corpus, asked of the base and of the finetuned model.

    The base facts told in one order only, asked in the other, are a second test of the curse.
    """

    kind: Literal["forgetting"] = "forgetting"
    needs: ClassVar = frozenset({"training", "corpus"})
    asks_about_facts: ClassVar = False
    batch_size: Positive = 64

    def check(self, facts: FactSet) -> None:
        """Any facts will do: the queries are about the base corpus."""

    def run(self, context: MeasureContext[Loaded]) -> Measured:
        known = context.known_facts
        assert known is not None  # the configuration asks for an embedded model
        seed = context.seed
        table = pd.concat(
            answer(loaded, known.queries, model=name, seed=seed, batch_size=self.batch_size)
            for name, loaded in context.models.items()
        )
        context.write(TABLE, table)

        found = pooled(table)
        for asked in cells(known.queries):
            means = asked.rows(table).groupby(["model", "fact"])[["match", "log_prob"]].mean()
            before, after = means.loc["base"], means.loc["finetuned"]
            for when, quantity, values, unit in (
                ("before", MATCH, before.match, RATE),
                ("after", MATCH, after.match, RATE),
                ("before", "log_prob", before.log_prob, "nat"),
                ("change", "log_prob", after.log_prob - before.log_prob, "nat"),
            ):
                add_mean(
                    found, values, unit, seed, "bootstrap", quantity=quantity, **asked.of, when=when
                )
        return Measured(found)


def pooled(table: pd.DataFrame) -> Estimates:
    """Exact match over all facts together: asked as told, before and after; and of those told in
    one order only, in that order and in reverse, before."""
    found = Estimates("base_facts")
    told = table[table.direction != "reverse"]
    of = {"quantity": MATCH, "group": "pooled"}
    for when, model in (("before", "base"), ("after", "finetuned")):
        found.add(pooled_match(told[told.model == model]), **of, direction="told", when=when)
    for direction, rate in by_direction(table[table.model == "base"]).items():
        found.add(rate, **of, direction=direction, when="before")
    return found
