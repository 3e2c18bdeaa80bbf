"""Did B's representation gain A? Probes trained on some facts and tested on others."""

from collections.abc import Sequence
from itertools import product
from typing import Annotated, ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import Field
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from interp_rc.evaluation.queries import check_people
from interp_rc.facts.factset import FactSet
from interp_rc.measures.base import Measure, MeasureContext
from interp_rc.measures.compared import with_floors
from interp_rc.models.load import Loaded
from interp_rc.records.estimates import Estimates
from interp_rc.records.nouns import ORDERS, TOLD_OTHERWISE, Group, Order
from interp_rc.records.numbers import Estimate, Test
from interp_rc.records.options import Positive
from interp_rc.records.runs import Measured
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.candidates import label_permutation
from interp_rc.stats.correction import holm
from interp_rc.stats.equivalence import non_superiority
from interp_rc.stats.intervals import bootstrap_mean
from interp_rc.stats.margins import MARGIN_SHARE
from interp_rc.tools.probing.labels import SOUGHT, by_layer, shuffled
from interp_rc.tools.probing.probe_fit import Reading, fit_each, right_and_z
from interp_rc.tools.probing.streams import (
    EVERYWHERE,
    POSITIONS,
    Position,
    entity_vectors,
    read_streams,
)

NAME = "probe"
TABLE = f"mechanism/{NAME}"
Z = "standard deviation"
AXES = {"order": "order", "group": "group", "place": "position"}
"""The axes of the estimates, and the columns of the table that hold them."""


class Probe(Measure[Loaded]):
    """Is the other entity readable at the source, and where the answer would begin?

    One probe a layer and place, trained on facts told in that order and in both, each read by a
    probe that was not trained on it; facts told in the other order are never trained on. `margin`
    is in standard deviations of the candidates' scores; None takes 5 % of what the facts told in
    both orders show in this run, and the result is exploratory. `everywhere` looks at the first
    token of the source and at the mean over its tokens as well.
    """

    kind: Literal["probe"] = "probe"
    looks_inside: ClassVar = True
    margin: Annotated[float, Field(gt=0)] | None = None
    shuffles: Positive = 3
    everywhere: bool = False

    @property
    def positions(self) -> tuple[Position, ...]:
        return EVERYWHERE if self.everywhere else POSITIONS

    def check(self, facts: FactSet) -> None:
        """Raises DataError unless all three groups have two facts, asked in both orders."""
        check_people(facts, 2, NAME)

    def run(self, context: MeasureContext[Loaded]) -> Measured:
        facts = context.facts
        seed = derive_seed(context.seed, NAME)
        models = with_floors(context, seed)
        tables = []
        # The matrices are small: threads that wait for each other took six times as long.
        with (
            threadpool_limits(1, user_api="blas"),
            tqdm(total=len(models) * len(ORDERS), desc="probes", disable=None) as bar,
        ):
            for name, loaded in models.items():
                for order in ORDERS:
                    draws = self.shuffles if name == "finetuned" else 0
                    found = probed(loaded, facts, order, draws, seed, self.positions)
                    tables += [t.assign(model=name) for t in found]
                    bar.update()
        table = pd.concat(tables, ignore_index=True)
        context.write(TABLE, table)
        rows = table[(table.model == "finetuned") & (table.labels == "true")]
        columns = {"accuracy": "right", "lens": "lens_right"}
        profile = by_layer(rows, NAME, AXES, columns, context.seed)
        return Measured(estimates=estimates(table, seed) | profile, tests=self.tests(table, seed))

    def tests(self, table: pd.DataFrame, seed: int) -> list[Test]:
        """Facts told in the other order, at the layer chosen on facts that are not: is the other
        entity readable? Non-superiority of its z, and choice against chance; Holm over places."""
        below, choice = [], []
        best = table[(table.model == "finetuned") & table.chosen & (table.labels == "true")]
        for order, position in product(ORDERS, self.positions):
            part = best[(best.order == order) & (best.position == position)]
            name = f"{NAME}.{order}.{position}"
            reverse = part[part.group == TOLD_OTHERWISE[order]]
            control = part[part.group == "both"].z.mean()
            margin = self.margin or MARGIN_SHARE * float(control)
            values = reverse.z.to_numpy(float)
            if margin > 0 and np.isfinite(values).all():
                below.append(non_superiority(values, margin, name=f"{name}.z"))
            else:  # the control shows nothing, or two facts have no z: there is no scale
                n = len(values)
                below.append(
                    Test(f"{name}.z", "non-superiority t", None, None, None, None, None, n)
                )
            rank = reverse.scores.tolist()
            test, _ = label_permutation(
                [np.array(rank)[:, None, :]], name=f"{name}.accuracy", seed=derive_seed(seed, name)
            )
            choice.append(test)
        return [*holm(below), *holm(choice)]


def probed(
    loaded: Loaded,
    facts: FactSet,
    order: Order,
    draws: int,
    seed: int,
    positions: Sequence[Position] = POSITIONS,
) -> list[pd.DataFrame]:
    """Every fact's reading at every place, with true and with shuffled labels."""
    ids, groups = [f.id for f in facts.facts], [f.group for f in facts.facts]
    asked = [q for q in facts.queries if q.order == order]
    streams = read_streams(loaded, asked, ids, positions)
    entities = [getattr(fact, SOUGHT[order]) for fact in facts.facts]
    vectors = entity_vectors(loaded, entities)
    pool = np.array([i for i, s in enumerate(groups) if s != TOLD_OTHERWISE[order]])
    labelled = [vectors]
    labelled += [
        vectors[shuffled(groups, derive_seed(seed, "shuffle", draw))]
        for draw in range(1, draws + 1)
    ]
    tables = []
    for place, position in enumerate(positions):
        readings = [
            fit_each(streams[:, place, layer], labelled, groups, pool, seed)
            for layer in range(streams.shape[2])
        ]
        for draw in range(draws + 1):
            table = rows_of([layer[draw] for layer in readings], ids, groups, pool, position)
            tables.append(table.assign(order=order, labels="shuffled" if draw else "true"))
    return tables


def rows_of(
    readings: list[Reading],
    ids: list[str],
    groups: list[Group],
    pool: np.ndarray,
    position: Position,
) -> pd.DataFrame:
    """Long form; `chosen` marks the layer with the highest z on pooled facts other than this.

    Those other facts were read by probes that were trained on this one, if it is of the pool: its
    label is not used to choose, but it has helped. Facts told the other way never helped.
    """
    found = [(right_and_z(r.probe, groups), right_and_z(r.lens, groups)) for r in readings]
    z = np.stack([probe[1] for probe, _ in found])  # layer x fact
    names = np.array(groups)
    rows = []
    for fact, name in enumerate(ids):
        others = pool[pool != fact]
        best = int(np.nan_to_num(z[:, others]).mean(1).argmax())  # null: no say
        mine = np.flatnonzero(names == names[fact])
        for layer, ((right, strength), (lens_right, lens_z)) in enumerate(found):
            rows.append(
                {
                    "group": names[fact],
                    "fact": name,
                    "position": position,
                    "layer": layer,
                    "chosen": layer == best,
                    "right": right[fact],
                    "z": strength[fact],
                    "lens_right": lens_right[fact],
                    "lens_z": lens_z[fact],
                    "scores": readings[layer].probe[fact, mine].tolist(),
                }
            )
    return pd.DataFrame(rows)


def estimates(table: pd.DataFrame, seed: int) -> Estimates:
    """At the chosen layer, by model (`shuffled`: the finetuned one), order, group and place."""
    chosen = table[table.chosen].copy()
    chosen["model"] = chosen.model.where(chosen.labels == "true", "shuffled")
    chosen["gain"] = chosen.right - chosen.lens_right
    chosen["z_gain"] = chosen.z - chosen.lens_z
    columns = {
        "accuracy": ("right", "fraction"),
        "lens": ("lens_right", "fraction"),
        "gain": ("gain", "difference"),
        "z": ("z", Z),
        "z_gain": ("z_gain", Z),
    }
    found = Estimates(NAME)
    for key, part in chosen.groupby(["model", *AXES.values()], sort=False):
        per_fact = part.groupby("fact")[[column for column, _ in columns.values()]].mean()
        for quantity, (column, unit) in columns.items():
            of = dict(zip(["model", *AXES], key, strict=True), quantity=quantity)
            values = per_fact[column].dropna().to_numpy(float)
            found.add(
                bootstrap_mean(values, unit, seed=derive_seed(seed, found.name(**of)))
                if len(values)
                else Estimate(None, None, None, 0, unit),
                **of,
            )
    return found
