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
from interp_rc.records.estimates import Estimates, Value, cell
from interp_rc.records.numbers import Test
from interp_rc.records.runs import Measured
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.correction import holm
from interp_rc.stats.differences import sign_flip
from interp_rc.stats.intervals import bootstrap_mean
from interp_rc.stats.means import add_mean

TABLE = "training/trace"
POINT = "percentage point"
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
        found = estimates(table, seed) | loss_by_step(table, seed)
        return Measured(found, tests=over_shuffled(table, seed))


class Cell(NamedTuple):
    """All rows of a group in one order. `asked` is the direction, or the order of facts that
    were told in both."""

    group: str
    asked: str
    rows: pd.DataFrame

    @property
    def of(self) -> dict[str, Value]:
        """The axes of its estimates."""
        return cell(self.group, self.asked)


def cells(table: pd.DataFrame) -> Iterator[Cell]:
    """Every group and order in the table's order."""
    asked = table.direction.where(table.direction.notna(), table.order)
    for (group, name), rows in table.groupby([table.group, asked], sort=False):
        yield Cell(str(group), str(name), rows)


def pooled(table: pd.DataFrame) -> Iterator[Cell]:
    """All groups together in either direction, as far as they were told in one order."""
    for asked, rows in table.groupby("direction", sort=False):
        yield Cell("pooled", str(asked), rows)


def by_fact(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Means over templates: a row a fact and a column a step."""
    return (
        rows.groupby(["fact", "step"], sort=False)[column].mean().unstack("step").sort_index(axis=1)
    )


def estimates(table: pd.DataFrame, seed: int) -> Estimates:
    """At the end, and the change since before the first step, with intervals over facts.

    Loss is the negative log-probability of the whole target in nats; `advantage` is what the right
    target is likelier than the shuffled one at the end.
    """
    found = Estimates("trace")
    for one in [*cells(table), *pooled(table)]:
        for target, part in one.rows.groupby("set"):
            loss, right = loss_of(part), by_fact(part, "greedy")
            for quantity, values, unit in (
                ("loss", loss.iloc[:, -1], "nat"),
                ("loss_change", loss.iloc[:, -1] - loss.iloc[:, 0], "nat"),
                ("accuracy", right.iloc[:, -1], "fraction"),
                ("accuracy_change", 100 * (right.iloc[:, -1] - right.iloc[:, 0]), POINT),
            ):
                add_mean(
                    found,
                    values,
                    unit,
                    seed,
                    "bootstrap",
                    quantity=quantity,
                    **one.of,
                    target=target,
                )
        add_mean(
            found, advantage(one.rows), "nat", seed, "bootstrap", quantity="advantage", **one.of
        )
    return found


def loss_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Nats by fact and step."""
    return by_fact(rows.assign(loss=-rows.log_prob), "loss")


def loss_by_step(table: pd.DataFrame, seed: int) -> Estimates:
    """The loss at every step that was asked at; of the shuffled targets in reverse alone."""
    found = Estimates("trace")
    use = derive_seed(seed, "report", "trace")
    for one in cells(table):
        for target, part in one.rows.groupby("set"):
            if target == "shuffled" and one.asked != "reverse":
                continue
            for step, values in loss_of(part).items():
                loss = bootstrap_mean(values.to_numpy(float), "nat", seed=use, draws=DRAWS)
                found.add(loss, quantity="loss", **one.of, target=target, step=step)
    return found


def advantage(rows: pd.DataFrame) -> pd.Series:
    """Per fact, at the last step: log-probability of the right target less the shuffled one's."""
    last = rows[rows.step == rows.step.max()].groupby(["set", "fact"], sort=False).log_prob.mean()
    return last["correct"] - last["shuffled"]


def advantage_name(one: Cell) -> str:
    """What the test of a cell is called."""
    return Estimates("trace").name(quantity="advantage", **one.of)


def over_shuffled(table: pd.DataFrame, seed: int) -> list[Test]:
    """Is the right target likelier than the shuffled one? In every cell, Holm over all of them."""
    return holm(
        [
            sign_flip(
                np.asarray(advantage(one.rows), dtype=float),
                name=advantage_name(one),
                seed=derive_seed(seed, "sign flip", one.group, one.asked),
                alternative="greater",
            )
            for one in cells(table)
        ]
    )
