"""What the model said while it learnt: loss and accuracy, of right targets and of shuffled ones.

The paper's figures of loss over epochs (Berglund et al. 2023, arXiv:2309.12288, figures 9 and 11).
"""

from collections.abc import Iterator
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import pandas as pd

from interp_rc.facts.factset import FactSet
from interp_rc.measures.base import Measure, MeasureContext
from interp_rc.models.load import Loaded
from interp_rc.records.errors import DataError
from interp_rc.records.numbers import Estimate, Test
from interp_rc.records.runs import Measured
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.correction import holm
from interp_rc.stats.differences import sign_flip
from interp_rc.stats.intervals import bootstrap_mean

TABLE = "training/trace"
DRAWS = 1000  # for each step's interval


class Trace(Measure[Loaded]):
    """Reads the table that `training.trace` wrote."""

    kind: Literal["trace"] = "trace"
    needs: ClassVar = frozenset({"training", "trace"})
    asks_about_facts: ClassVar = False

    def check(self, facts: FactSet) -> None:
        """Raises DataError for facts about which nothing can be asked."""
        if not facts.queries:
            raise DataError("measure trace needs queries, and the facts have none; add some")

    def run(self, context: MeasureContext[Loaded]) -> Measured:
        table, seed = context.table(TABLE), context.seed
        numbers = estimates(table, seed) | loss_by_step(table, seed)
        return Measured(estimates=numbers, tests=over_shuffled(table, seed))


class Cell(NamedTuple):
    """All rows of a subset in one order. `asked` is the direction, or the order of facts that
    were told in both."""

    subset: str
    asked: str
    rows: pd.DataFrame


def cells(table: pd.DataFrame) -> Iterator[Cell]:
    """Every subset and order in the table's order."""
    asked = table.direction.where(table.direction.notna(), table.order)
    for (subset, name), rows in table.groupby([table.subset, asked], sort=False):
        yield Cell(str(subset), str(name), rows)


def pooled(table: pd.DataFrame) -> Iterator[Cell]:
    """All subsets together in either direction, as far as they were told in one order."""
    for asked, rows in table.groupby("direction", sort=False):
        yield Cell("pooled", str(asked), rows)


def by_fact(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Means over templates: a row a fact and a column a step."""
    return (
        rows.groupby(["fact", "step"], sort=False)[column].mean().unstack("step").sort_index(axis=1)
    )


def estimates(table: pd.DataFrame, seed: int) -> dict[str, Estimate]:
    """At the end, and the change since before the first step, with intervals over facts.

    Loss is the negative log-probability of the whole target in nats; `advantage` is what the right
    target is likelier than the shuffled one at the end.
    """
    found: dict[str, Estimate] = {}

    def put(name: str, values: pd.Series, unit: str) -> None:
        sample = np.asarray(values, dtype=float)
        found[name] = bootstrap_mean(sample, unit, seed=derive_seed(seed, "bootstrap", name))

    for subset, asked, rows in [*cells(table), *pooled(table)]:
        for kind, part in rows.groupby("set"):
            loss, right = by_fact(part.assign(loss=-part.log_prob), "loss"), by_fact(part, "greedy")
            name = f"{subset}.{asked}.{kind}"
            put(f"trace.loss.{name}", loss.iloc[:, -1], "nat")
            put(f"trace.loss_change.{name}", loss.iloc[:, -1] - loss.iloc[:, 0], "nat")
            put(f"trace.accuracy.{name}", right.iloc[:, -1], "fraction")
            change = 100 * (right.iloc[:, -1] - right.iloc[:, 0])
            put(f"trace.accuracy_change.{name}", change, "percentage point")
        put(f"trace.advantage.{subset}.{asked}", advantage(rows), "nat")
    return found


def loss_by_step(table: pd.DataFrame, seed: int) -> dict[str, Estimate]:
    """The loss at every step that was asked at; of the shuffled targets in reverse alone."""
    found = {}
    use = derive_seed(seed, "report", "trace")
    for subset, asked, rows in cells(table):
        for kind, part in rows.groupby("set"):
            if kind == "shuffled" and asked != "reverse":
                continue
            loss = by_fact(part.assign(loss=-part.log_prob), "loss")
            for step in loss.columns:
                found[f"trace.loss.{subset}.{asked}.{kind}.step_{step}"] = bootstrap_mean(
                    np.asarray(loss[step], dtype=float), "nat", seed=use, draws=DRAWS
                )
    return found


def advantage(rows: pd.DataFrame) -> pd.Series:
    """Per fact, at the last step: log-probability of the right target less the shuffled one's."""
    last = rows[rows.step == rows.step.max()].groupby(["set", "fact"], sort=False).log_prob.mean()
    return last["correct"] - last["shuffled"]


def over_shuffled(table: pd.DataFrame, seed: int) -> list[Test]:
    """Is the right target likelier than the shuffled one? In every cell, Holm over all of them."""
    return holm(
        [
            sign_flip(
                np.asarray(advantage(cell.rows), dtype=float),
                name=f"trace.advantage.{cell.subset}.{cell.asked}",
                seed=derive_seed(seed, "sign flip", cell.subset, cell.asked),
                alternative="greater",
            )
            for cell in cells(table)
        ]
    )
