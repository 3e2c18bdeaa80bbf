"""Does learning "A is B" push "B is A"? Gradients of both orders, and one real step of training.

The gradient of -log p(B | A) says how learning one order changes every weight. Where it is
orthogonal to that of -log p(A | B), a small step along it leaves the other order as it is.
"""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from interp_rc.engine.inputs import Input, read_inputs
from interp_rc.evaluation.queries import both_ways, groups_of
from interp_rc.facts.factset import FactSet
from interp_rc.measures.base import Measure, MeasureContext
from interp_rc.measures.gradients.one_step import add_steps, one_step
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.load import Loaded
from interp_rc.models.machine import threads_for
from interp_rc.records.errors import DataError
from interp_rc.records.estimates import Estimates
from interp_rc.records.nouns import GROUPS, TOLD_IN, Group, Query
from interp_rc.records.numbers import Test
from interp_rc.records.options import Positive
from interp_rc.records.runs import Measured
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.correction import holm
from interp_rc.stats.equivalence import tost
from interp_rc.stats.intervals import bootstrap_mean
from interp_rc.stats.margins import MARGIN_SHARE
from interp_rc.tools.gradients.parameter_groups import ALL, cosines, parameters_of

COSINES, STEPS = "mechanism/gradients", "mechanism/one_step"
PART, UNIT = "gradient_cosine", "cosine"
PARAMETERS = {
    "all": "all parameters",
    "input_embedding": "input embedding",
    "attention": "attention",
    "mlp": "MLP",
    "output_rows": "output rows",
    "norms": "norms",
}
"""What groups of parameters are called on the page, and in the seeds of their intervals."""
ASKED = {
    "same": ("told_once", "paraphrase"),
    "reverse": ("told_once", "reverse"),
    "both": ("told_both", "reverse"),
}
"""How facts were told, and what the gradient of the telling is matched with."""
ONE_ORDER: list[Group] = [group for group in GROUPS if TOLD_IN[group] is not None]


class Gradients(Measure[Loaded]):
    """`margin` (cosine, fixed beforehand) within which orders count as unrelated; None takes
    5 % of the paraphrase's cosine in this run's base model, and the result is exploratory.
    `steps_on` facts a group take a step of training each.
    """

    kind: Literal["gradients"] = "gradients"
    needs: ClassVar = frozenset({"base"})
    looks_inside: ClassVar = True
    margin: Annotated[float, Field(gt=0)] | None = None
    steps_on: Positive = 10

    def check(self, facts: FactSet) -> None:
        """Raises DataError unless every group is asked in two templates an order, and one of
        them was told in one order only."""
        there = groups_of(facts.queries)
        if not set(there) & set(ONE_ORDER):
            raise DataError(
                "measure gradients needs facts told in one order only, and there are no queries "
                "about any; leave it out of `measures`"
            )
        told = {(document.fact, document.order) for document in facts.documents}
        for group in there:
            cell = both_ways(facts.queries, group)
            untold = [q.fact for q in cell.same[0] if (q.fact, cell.order) not in told]
            if untold:
                raise DataError(
                    f"measure gradients takes a step on a document in {cell.order} order about "
                    f"each fact of {group}, and {untold[0]} has none; tell it, or leave it out"
                )

    def run(self, context: MeasureContext[Loaded]) -> Measured:
        model, training = context.model, context.training
        facts, seed = context.facts, derive_seed(context.seed, self.kind)
        base = context.base
        assert base is not None  # the configuration asks for one
        models = (("base", base), ("finetuned", model))
        with threads_for(model.model):
            table = pd.concat(cosine_table(one, facts.queries, name) for name, one in models)
            steps = one_step(base, facts, training, steps_on=self.steps_on, seed=seed)
        context.write(COSINES, table)
        context.write(STEPS, steps)
        found = Estimates()
        add_cosines(found, table, seed)
        add_pooled_cosines(found, table, context.seed)
        add_steps(found, steps, seed)
        return Measured(estimates=found, tests=holm(orthogonal(table, self.margin)))


def cosine_table(loaded: Loaded, queries: Sequence[Query], model: str) -> pd.DataFrame:
    """One row a fact, pairing and group of parameters.

    `matched` is the cosine of the gradient of the fact as told with that of the same fact in
    reverse (or paraphrased, in the same order), `mismatched` the mean of those with the other
    facts of its group in the same template; `difference` is the first less the second.
    """
    frames = []
    with parameters_of(loaded.model, Adapter(loaded.model).parts) as parameters:
        for group in groups_of(queries):
            cell = both_ways(queries, group)
            first, reverse, paraphrase = (
                _inputs(loaded, some) for some in (cell.same[0], cell.reverse[0], cell.same[1])
            )
            n = len(first)
            found = cosines(loaded.model, parameters, first, [*reverse, *paraphrase])
            for part, both in found.items():
                values = both.double().numpy()
                for pairing, block in (("reverse", values[:, :n]), ("paraphrase", values[:, n:])):
                    matched = np.diag(block)
                    mismatched = (block.sum(1) - matched) / (n - 1)
                    frames.append(
                        pd.DataFrame(
                            {
                                "model": model,
                                "group": group,
                                "fact": [query.fact for query in cell.same[0]],
                                "pairing": pairing,
                                "component": part.name,
                                "layer": part.layer,
                                "matched": matched,
                                "mismatched": mismatched,
                                "difference": matched - mismatched,
                            }
                        ).astype({"layer": "Int64"})
                    )
    return pd.concat(frames, ignore_index=True)


def _inputs(loaded: Loaded, queries: Sequence[Query]) -> list[Input]:
    return read_inputs(loaded, [q.prompt for q in queries], [q.target for q in queries])


def add_cosines(found: Estimates, table: pd.DataFrame, seed: int) -> None:
    """Matched less mismatched over all parameters; of the finetuned model unless `base` is said.

    The groups are in the table.
    """
    whole = table[table.component == ALL.name]
    for (model, group, pairing), part in whole.groupby(["model", "group", "pairing"], sort=False):
        of = {"part": PART, "model": None if model == "finetuned" else model, "group": group}
        of |= {"reading": pairing, "component": ALL.name}
        use = derive_seed(seed, found.name(**of))
        found.add(bootstrap_mean(np.asarray(part.difference, dtype=float), UNIT, seed=use), **of)


def add_pooled_cosines(found: Estimates, table: pd.DataFrame, seed: int) -> None:
    """All facts told in one order together, and those told in both asked in reverse: matched less
    mismatched, by model, pairing and group of parameters, and layer where it has one.

    Over all parameters, facts told in one order are there without the group, too: the same mean,
    from another draw of its bootstrap.
    """

    def put(rows: pd.DataFrame, use: tuple[str, ...], **of: Any) -> None:
        if len(rows):
            values = np.asarray(rows.difference, dtype=float)
            seeded = derive_seed(seed, "report", COSINES, *use)
            found.add(bootstrap_mean(values, UNIT, seed=seeded), part=PART, **of)

    keys = ["model", "component", "layer"]
    for key, part in table.groupby(keys, sort=False, dropna=False):
        model, component, layer = map(str, key)
        inside = layer.isdigit()
        at = {"component": component, "layer": int(layer) if inside else None}
        words = f"{PARAMETERS[component]} {layer}" if inside else PARAMETERS[component]
        for look, (told, pairing) in ASKED.items():
            some = part.group.isin(ONE_ORDER) if told == "told_once" else part.group == "both"
            rows = part[some & (part.pairing == pairing)]
            of = {"model": model, "group": told, "reading": pairing}
            put(rows, (model, words, look), **of, **at)
            if component == ALL.name and told == "told_once":
                put(rows, (model, pairing), **of)


def orthogonal(table: pd.DataFrame, margin: float | None) -> list[Test]:
    """TOST of "no more related than the orders of two different facts", in the base model.

    There nothing of the facts is learnt yet, so that the gradients say what learning would do.
    Without a margin, and with no paraphrase to take one from, a test has no p.
    """
    whole = table[(table.component == ALL.name) & (table.model == "base")]
    found = []
    for group in (one for one in ONE_ORDER if one in set(whole.group)):
        part = whole[whole.group == group]
        reverse, paraphrase = (
            np.asarray(part[part.pairing == pairing].difference, dtype=float)
            for pairing in ("reverse", "paraphrase")
        )
        near = MARGIN_SHARE * paraphrase.mean() if margin is None else margin
        name = f"gradient_cosine.base.{group}.reverse.{ALL.name}"
        if near > 0:
            found.append(tost(reverse, float(near), name=name))
        else:
            found.append(Test(name, "TOST", None, None, None, None, None, len(reverse)))
    return found
