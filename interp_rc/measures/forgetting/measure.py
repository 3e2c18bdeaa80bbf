"""What finetuning did to what the base model knew, and the curse in pretraining itself."""

from typing import ClassVar, Literal

import numpy as np
import pandas as pd

from interp_rc.evaluation.answers import answer
from interp_rc.evaluation.cells import cells
from interp_rc.evaluation.pooled import by_direction, pooled_match
from interp_rc.facts.factset import FactSet
from interp_rc.measures.base import Measure, MeasureContext
from interp_rc.models.load import Loaded
from interp_rc.records.numbers import Estimate
from interp_rc.records.options import Positive
from interp_rc.records.runs import Measured
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.intervals import bootstrap_mean

TABLE = "evaluation/base_answers"


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

        found: dict[str, Estimate] = {}

        def put(name: str, values: pd.Series, unit: str) -> None:
            use = derive_seed(seed, "bootstrap", name)
            found[name] = bootstrap_mean(np.asarray(values, dtype=float), unit, seed=use)

        for cell in cells(known.queries):
            rows = table[table["query"].isin([q.id for q in cell.queries])]
            means = rows.groupby(["model", "fact"])[["match", "log_prob"]].mean()
            before, after = means.loc["base"], means.loc["finetuned"]
            put(f"base_facts.exact_match.{cell.name}.before", before.match, "fraction")
            put(f"base_facts.exact_match.{cell.name}.after", after.match, "fraction")
            put(f"base_facts.log_prob.{cell.name}.before", before.log_prob, "nat")
            put(f"base_facts.log_prob.{cell.name}.change", after.log_prob - before.log_prob, "nat")
        return Measured(estimates=found | pooled(table, seed))


def pooled(table: pd.DataFrame, seed: int) -> dict[str, Estimate]:
    """Exact match over all facts together: asked as told, before and after; and of those told in
    one order only, in that order and in reverse, before."""
    told = table[table.direction != "reverse"]
    found = {
        f"told.{end}": pooled_match(told[told.model == model], seed, TABLE, model)
        for end, model in (("before", "base"), ("after", "finetuned"))
    }
    once = by_direction(table[table.model == "base"], seed, TABLE)
    found |= {f"{direction}.before": rate for direction, rate in once.items()}
    return {f"base_facts.exact_match.pooled.{name}": rate for name, rate in found.items()}
