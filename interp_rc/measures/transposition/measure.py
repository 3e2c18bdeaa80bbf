"""Does the value written for A act as a key when B comes in? The readings of `recall`, measured."""

from collections import Counter
from itertools import product
from typing import Annotated, ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import Field
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from interp_rc.evaluation.queries import check_both_orders
from interp_rc.facts.factset import FactSet
from interp_rc.measures.base import Measure, MeasureContext
from interp_rc.measures.transposition.reading import read_memory
from interp_rc.measures.transposition.recall import CROSS, recall_scores
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.load import Loaded
from interp_rc.records.errors import DataError
from interp_rc.records.estimates import Estimates
from interp_rc.records.nouns import ORDERS, TOLD_ONLY, Order
from interp_rc.records.numbers import Test
from interp_rc.records.runs import Measured
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.correction import holm
from interp_rc.stats.differences import paired_t
from interp_rc.stats.equivalence import non_superiority
from interp_rc.stats.margins import MARGIN_SHARE
from interp_rc.stats.means import add_mean, means_by_fact
from interp_rc.tools.neurons.key_values import key_values
from interp_rc.tools.probing.probe_fit import right_and_z

NAME = "transposition"
TABLE = f"mechanism/{NAME}"
Z = "standard deviation"
FEWEST = 3
OTHER: dict[Order, Order] = {"forward": "backward", "backward": "forward"}


class Transposition(Measure[Loaded]):
    """Every layer's MLP, read at the entity of prompts in both orders; base model beside.

    Of facts told in one order nothing should be found in the readings that cross over to the other
    entity, if the memory is one-way. Facts told in both orders are one control, and the readings
    that stay with one entity the other: they must find it, or the tool is blind. `margin` is in
    standard deviations of the candidates' scores; None takes 5 % of what the fitted map finds of
    the same facts, and the result is exploratory.
    """

    kind: Literal["transposition"] = "transposition"
    looks_inside: ClassVar = True
    margin: Annotated[float, Field(gt=0)] | None = None

    def check(self, facts: FactSet) -> None:
        """Raises DataError unless every fact is asked in both orders, and every group has three:
        the right one and, to stand out from, two others."""
        check_both_orders(facts, NAME)
        for group, count in Counter(fact.group for fact in facts.facts).items():
            if count < FEWEST:
                raise DataError(
                    f"measure {NAME} needs {FEWEST} facts or more of a group, and {group} has "
                    f"{count}; add some, or leave it out of `measures`"
                )

    def run(self, context: MeasureContext[Loaded]) -> Measured:
        model = context.model
        facts, seed = context.facts, derive_seed(context.seed, NAME)
        base = context.base
        models = {"finetuned": model} | ({} if base is None else {"base": base})
        with threadpool_limits(1, user_api="blas"):
            tables = [recalled(one, facts, seed).assign(model=name) for name, one in models.items()]
        table = pd.concat(tables, ignore_index=True)
        context.write(TABLE, table)
        return Measured(estimates(table, seed), self.tests(table))

    def tests(self, table: pd.DataFrame) -> list[Test]:
        """Means over layers, so that none is chosen. Facts told one way: no more than the margin?
        Facts told both ways: more than nothing?"""
        tests = []
        mine = table[table.model == "finetuned"]
        means = mine.groupby(["order", "reading", "group", "fact"]).z.mean()
        z: dict[object, np.ndarray] = {
            key: part.to_numpy(float) for key, part in means.groupby(level=[0, 1, 2])
        }
        for order, reading in product(ORDERS, CROSS):
            both = z.get((order, reading, "both"), np.zeros(0))
            if len(both) > 1:
                name, none = f"{NAME}.{order}.both.{reading}.z", np.zeros(len(both))
                tests.append(paired_t(both, none, name=name, alternative="greater"))
            told = z.get((order, reading, TOLD_ONLY[order]), np.zeros(0))
            if len(told) > 1:
                fitted = float(z[order, "fitted", TOLD_ONLY[order]].mean())
                name = f"{NAME}.{order}.{TOLD_ONLY[order]}.{reading}.z"
                tests.append(self.below(told, fitted, name))
        return holm(tests)

    def below(self, values: np.ndarray, fitted: float, name: str) -> Test:
        """Without a p where nothing is found even by the fitted map: there is no scale then."""
        margin = self.margin or MARGIN_SHARE * fitted
        if margin > 0:
            return non_superiority(values, margin, name=name)
        return Test(name, "non-superiority t", None, None, None, None, None, len(values))


def recalled(model: Loaded, facts: FactSet, seed: int) -> pd.DataFrame:
    """One row a fact, order, layer and reading: whether the right one of the group's facts comes
    first, and how many standard deviations above the others it is."""
    ids, groups = [f.id for f in facts.facts], [f.group for f in facts.facts]
    adapter = Adapter(model.model)
    memories = {
        order: read_memory(model, [q for q in facts.queries if q.order == order], ids)
        for order in ORDERS
    }
    frames = []
    places = list(product(ORDERS, range(adapter.layers)))
    for order, layer in tqdm(places, desc="memories transposed", disable=None):
        weights = key_values(adapter, layer).values.double().cpu().numpy()
        scores = recall_scores(
            memories[order], memories[OTHER[order]], weights, layer, groups, seed
        )
        for reading, found in scores.items():
            right, z = right_and_z(found, groups)
            frames.append(
                pd.DataFrame(
                    {
                        "fact": ids,
                        "group": groups,
                        "order": order,
                        "layer": layer,
                        "reading": reading,
                        "right": right,
                        "z": z,
                        "cosine": np.diag(found),
                    }
                )
            )
    return pd.concat(frames, ignore_index=True)


def estimates(table: pd.DataFrame, seed: int) -> Estimates:
    """Of every layer, and of their mean: the share of facts found, and the strength [SD]."""
    found = Estimates(NAME)
    axes = {"model": "model", "order": "order", "group": "group", "reading": "reading"}
    means = table.groupby([*axes.values(), "fact"], sort=False)[["right", "z"]].mean()
    for layer, rows in [*table.groupby("layer"), (None, means.reset_index())]:
        for quantity, column, unit in (("accuracy", "right", "fraction"), ("z", "z", Z)):
            for of, values in means_by_fact(rows, axes, column):
                add_mean(found, values, unit, seed, **of, layer=layer, quantity=quantity)
    return found
