"""What finetuning wrote into the weights for A -> B, and for B -> A: the measure."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal

import pandas as pd

from interp_rc.evaluation.queries import both_ways, groups_of
from interp_rc.facts.factset import FactSet
from interp_rc.measures.base import Measure, MeasureContext
from interp_rc.models.load import Loaded
from interp_rc.models.machine import threads_for
from interp_rc.records.errors import DataError
from interp_rc.records.estimates import Estimates
from interp_rc.records.nouns import ORDERS, Query
from interp_rc.records.numbers import Test
from interp_rc.records.options import Positive
from interp_rc.records.runs import Measured
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.correction import benjamini_hochberg, holm
from interp_rc.stats.differences import paired_t
from interp_rc.stats.intervals import bootstrap_mean
from interp_rc.tools.gradients.parameter_groups import ParameterGroup
from interp_rc.tools.weights.update_readout import POINTS, update_readouts

NAME = "update_geometry"
TABLE = f"mechanism/{NAME}"
ALL = "all"


class UpdateGeometry(Measure[Loaded]):
    """Of every fact, in one held-out template an order: what each part of the finetuning
    difference adds to its target after its own prompt, and after the prompts of `others` other
    facts of its group (shuffled pairs). What is `bound` is the first less the mean of these."""

    kind: Literal["update_geometry"] = "update_geometry"
    needs: ClassVar = frozenset({"base"})
    looks_inside: ClassVar = True
    others: Positive = 2
    points: Positive = POINTS

    def check(self, facts: FactSet) -> None:
        """Raises DataError unless every group has more facts than `others`, asked in both
        orders."""
        for group in groups_of(facts.queries):
            there = len(both_ways(facts.queries, group).same[0])
            if there <= self.others:
                raise DataError(
                    f"measure {NAME} compares a fact with {self.others} others, and {group} has "
                    f"{there}; lower `others`, or add facts"
                )

    def run(self, context: MeasureContext[Loaded]) -> Measured:
        model = context.model
        base = context.base
        assert base is not None  # the configuration asks for one
        seed = derive_seed(context.seed, NAME)
        facts = context.facts
        with threads_for(model.model):
            table = read_out(base, model, facts, self.others, self.points)
        context.write(TABLE, table)
        bound = bound_of(table)
        return Measured(estimates=estimates(table, bound, seed), tests=tests(bound))


def read_out(base: Loaded, model: Loaded, facts: FactSet, others: int, points: int) -> pd.DataFrame:
    """One row a fact's target, prompt (`other` 0 is about the fact itself), end of the path (`at`:
    base, path, finetuned) and group of parameters: `value` in nats. The group `all` is their sum;
    `whole`, next to it, is what the difference changes in the log-probability."""
    queries, prompts, numbers = _lists(facts, others)
    targets = [q.target for q in queries]
    found = update_readouts(base, model, prompts, targets, points=points)
    whole = found.whole.tolist()
    frames = []
    for at in ("base", "path", "finetuned"):
        values = getattr(found, at)
        for group, column in [
            *zip(found.groups, values.T, strict=True),
            (ParameterGroup(ALL), values.sum(1)),
        ]:
            frames.append(
                pd.DataFrame(
                    {
                        "fact": [q.fact for q in queries],
                        "group": [q.group for q in queries],
                        "order": [q.order for q in queries],
                        "template": [q.template for q in queries],
                        "other": numbers,
                        "at": at,
                        "component": group.name,
                        "layer": group.layer,
                        "value": column.tolist(),
                        "whole": whole,
                    }
                )
            )
    return pd.concat(frames, ignore_index=True).astype({"layer": "Int64"})


def _lists(facts: FactSet, others: int) -> tuple[list[Query], list[str], list[int]]:
    queries: list[Query] = []
    prompts: list[str] = []
    numbers: list[int] = []
    for group in groups_of(facts.queries):
        cell = both_ways(facts.queries, group)
        for some in (cell.same[0], cell.reverse[0]):
            for other in range(others + 1):
                queries += some
                prompts += [q.prompt for q in [*some[other:], *some[:other]]]
                numbers += [other] * len(some)
    return queries, prompts, numbers


def _place(table: pd.DataFrame) -> "pd.Series[str]":
    layered = table.component + "_" + table.layer.astype("string")
    return table.component.where(table.layer.isna(), layered)


def bound_of(table: pd.DataFrame) -> pd.DataFrame:
    """A row a fact, order, end and place: `own`, the mean of the `others`, and the difference
    `bound` [nat]. Places are single parts, the sums over all layers (`attention`, `mlp`), and
    `all`."""
    keys = ["group", "order", "at", "place", "fact"]
    whose = (table.other > 0).map({False: "own", True: "others"})
    rows = table.assign(place=_place(table), whose=whose)
    layered = rows[rows.layer.notna()].assign(place=rows.component)
    sums = layered.groupby([*keys, "other", "whose"], sort=False)["value"].sum().reset_index()
    rows = pd.concat([rows, sums], ignore_index=True)
    wide = rows.pivot_table(index=keys, columns="whose", values="value", sort=False).reset_index()
    return wide.assign(bound=wide.own - wide.others)


def _asymmetries(bound: pd.DataFrame) -> Iterator[tuple[str, str, str, pd.DataFrame]]:
    """Group, end, place, and what is bound by order, a row a fact."""
    for (group, at, place), part in bound.groupby(["group", "at", "place"], sort=False):
        yield (
            str(group),
            str(at),
            str(place),
            part.pivot(index="fact", columns="order", values="bound")[list(ORDERS)],
        )


def estimates(table: pd.DataFrame, bound: pd.DataFrame, seed: int) -> Estimates:
    """Over facts [nat]: what is bound, by group, order and place, on the path, and at the ends for
    all weights; `asymmetry`, forward less backward of the same fact; `own` and `others`; and what
    the quadrature leaves of a query's change (`incomplete`)."""
    found = Estimates(NAME)

    def put(values: "pd.Series[float]", use: str, **of: Any) -> None:
        use_seed = derive_seed(seed, use)
        found.add(bootstrap_mean(values.to_numpy(float), "nat", seed=use_seed), **of)

    cells = bound.groupby(["group", "order", "at", "place"], sort=False)
    for (group, order, at, place), part in cells:
        whole = (at, place) == ("path", ALL)
        quantities = ("bound", "own", "others") if whole else ("bound",)
        for quantity in quantities if at == "path" or place == ALL else ():
            of = {"group": group, "order": order, "reading": at, **_part(str(place))}
            use = f"{group}.{order}.{at}.{place}.{quantity}"
            put(part[quantity], use, **of, quantity=quantity)
    for group, at, place, wide in _asymmetries(bound):
        if place == ALL:
            of = {"group": group, "quantity": "asymmetry", "reading": at, "component": ALL}
            put(wide.forward - wide.backward, f"{group}.asymmetry.{at}.{place}", **of)
    rows = table[(table["at"] == "path") & (table.component == ALL)]
    left = (rows.value - rows.whole).abs().groupby(rows.fact).mean()
    put(left, "incomplete", quantity="incomplete")
    return found


def _part(place: str) -> dict[str, Any]:
    """The axes of a place, which is a kind of parameters, or one of it of a layer."""
    component, _, layer = place.rpartition("_")
    return (
        {"component": component, "layer": int(layer)} if layer.isdigit() else {"component": place}
    )


def tests(bound: pd.DataFrame) -> list[Test]:
    """Does the difference hold more for one order of a fact than for the other (Holm over groups,
    for the path and for the base)? What is bound where (Benjamini-Hochberg over places)?"""
    whole = [
        paired_t(
            wide.forward.to_numpy(float),
            wide.backward.to_numpy(float),
            name=f"{NAME}.{group}.asymmetry.{at}.{place}",
        )
        for group, at, place, wide in _asymmetries(bound)
        if place == ALL and at != "finetuned"
    ]
    return [*holm(whole), *benjamini_hochberg(_by_place(bound))]


def _by_place(bound: pd.DataFrame) -> Sequence[Test]:
    summed = {ALL, "attention", "mlp"}
    on_path = bound[(bound["at"] == "path") & ~bound.place.isin(summed)]
    return [
        paired_t(
            part.own.to_numpy(float),
            part.others.to_numpy(float),
            name=Estimates(NAME).name(
                group=group, order=order, **_part(str(place)), quantity="bound"
            ),
        )
        for (group, order, place), part in on_path.groupby(["group", "order", "place"], sort=False)
    ]
