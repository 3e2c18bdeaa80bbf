"""Do A's and B's representations know of each other? Bilinear probes, transposed and composed."""

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
from interp_rc.measures.bilinear.read import WHATS, Read, Sides, choose, read_all
from interp_rc.measures.compared import with_floors
from interp_rc.models.load import Loaded
from interp_rc.records.estimates import Estimates
from interp_rc.records.nouns import ORDERS, TOLD_OTHERWISE, Group
from interp_rc.records.numbers import Test
from interp_rc.records.options import Positive
from interp_rc.records.runs import Measured
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.candidates import label_permutation
from interp_rc.stats.correction import benjamini_hochberg, holm
from interp_rc.stats.differences import paired_t
from interp_rc.stats.equivalence import non_superiority
from interp_rc.stats.intervals import bootstrap_mean
from interp_rc.stats.margins import MARGIN_SHARE
from interp_rc.stats.power import power
from interp_rc.tools.probing.labels import SOUGHT, by_layer, shuffled
from interp_rc.tools.probing.probe_fit import right_and_z
from interp_rc.tools.probing.streams import POSITIONS, entity_vectors, read_streams

NAME = "bilinear"
TABLE = f"mechanism/{NAME}"
FEWEST = 4
AXES = {"reading": "what", "group": "group", "place": "position"}
"""The axes of the estimates, and the columns of the table that hold them."""
COLUMNS = {
    "accuracy": ("right", "fraction"),
    "z": ("z", "standard deviation"),
    "z_gain": ("gain", "standard deviation"),
}


class BilinearProbe(Measure[Loaded]):
    """One matrix between two representations, on facts that it was not fitted on.

    `mutual` scores A's stream with B's; `forward` and `backward` score what is read with the other
    entity's output vector; `transposed_backward` is the matrix of `forward` turned round, and the
    other way; `return_forward` goes from A to B and back. `margin` is in standard deviations of the
    candidates' scores; None takes 5 % of what the facts told in both orders show in this run, and
    the result is exploratory.
    """

    kind: Literal["bilinear"] = "bilinear"
    looks_inside: ClassVar = True
    margin: Annotated[float, Field(gt=0)] | None = None
    shuffles: Positive = 3

    def check(self, facts: FactSet) -> None:
        """Raises DataError unless all three groups have four facts, asked in both orders."""
        check_people(facts, FEWEST, NAME)

    def run(self, context: MeasureContext[Loaded]) -> Measured:
        facts = context.facts
        seed = derive_seed(context.seed, NAME)
        models = with_floors(context, seed)
        tables = []
        with (
            threadpool_limits(1, user_api="blas"),
            tqdm(total=len(models) + self.shuffles, desc="bilinear probes", disable=None) as bar,
        ):
            for name, loaded in models.items():
                sides = read_sides(loaded, facts)
                for draw in range(self.shuffles + 1 if name == "finetuned" else 1):
                    label = "shuffled" if draw else name
                    tables.append(probed(sides, facts, draw, seed).assign(model=label))
                    bar.update()
        table = pd.concat(tables, ignore_index=True)
        context.write(TABLE, table)
        tests, powers = self.tests(table, seed)
        columns = {"accuracy": "right", "plain": "plain_right"}
        rows = table[table.model == "finetuned"]
        profile = by_layer(rows, NAME, AXES, columns, context.seed)
        return Measured(estimates=estimates(table, seed) | powers | profile, tests=tests)

    def tests(self, table: pd.DataFrame, seed: int) -> tuple[list[Test], Estimates]:
        """Of facts told in the other order: is the other entity readable? Non-superiority of its z,
        with the power if there is nothing, and choice against chance; Holm over places. Of all
        facts: is z above that with shuffled labels? Benjamini-Hochberg."""
        below, choice, powers = [], [], Estimates(NAME)
        rows = table[(table.model == "finetuned") & table.chosen]
        for order, position in product(ORDERS, POSITIONS):
            part = rows[(rows.what == order) & (rows.position == position)]
            name = f"{NAME}.{order}.{position}"
            reverse = part[part.group == TOLD_OTHERWISE[order]]
            values = reverse.z.to_numpy(float)
            margin = self.margin or MARGIN_SHARE * float(part[part.group == "both"].z.mean())
            if margin > 0:
                below.append(non_superiority(values, margin, name=f"{name}.z"))
                if values.std(ddof=1) > 0:
                    found = power(
                        "non_superiority", len(values), mean=0.0, sd=float(values.std(ddof=1)),
                        margin=margin, seed=derive_seed(seed, name, "power"),
                    )  # fmt: skip
                    powers.add(found, reading=order, place=position, quantity="power")
            else:  # the control shows nothing: there is no scale to judge by
                nothing = (None, None, None, None, None, len(values))
                below.append(Test(f"{name}.z", "non-superiority t", *nothing))
            scores = np.array(reverse.scores.tolist())[:, None, :]
            test_name = f"{name}.accuracy"
            choice.append(
                label_permutation([scores], name=test_name, seed=derive_seed(seed, name))[0]
            )
        return [*holm(below), *holm(choice), *benjamini_hochberg(above_shuffled(table))], powers


def above_shuffled(table: pd.DataFrame) -> list[Test]:
    """Per fact, z with true labels against the mean over shuffled ones; one-sided.

    Facts share their fits, so that they are not quite independent: of random vectors, tests of z
    at 5 % came out in 5 % of draws where all directions were alike and in 6.5 % where a few were
    larger (250 draws each, mean over questions).

    Not of returns: two maps that were fitted on nothing return all facts alike by some chance, so
    that a test over facts came out in 17 % of the latter draws. Compare those over seeds.
    """
    rows = table[table.chosen & ~table.what.str.startswith("return_")]
    tests = []
    for (what, position, group), part in rows.groupby(["what", "position", "group"], sort=False):
        z = part.groupby(["model", "fact"]).z.mean().unstack("model")
        name = f"{NAME}.{what}.{position}.{group}.above_shuffled"
        true, false = z.finetuned.to_numpy(), z.shuffled.to_numpy()
        tests.append(paired_t(true, false, name=name, alternative="greater"))
    return tests


def read_sides(loaded: Loaded, facts: FactSet) -> dict[tuple[str, int], Sides]:
    """By position and layer."""
    ids = [fact.id for fact in facts.facts]
    streams = {
        order: read_streams(loaded, [q for q in facts.queries if q.order == order], ids)
        for order in ORDERS
    }
    vectors = {
        order: entity_vectors(loaded, [getattr(fact, SOUGHT[order]) for fact in facts.facts])
        for order in ORDERS
    }
    return {
        (position, layer): Sides(
            streams["forward"][:, place, layer],
            streams["backward"][:, place, layer],
            vectors["backward"],
            vectors["forward"],
        )
        for place, position in enumerate(POSITIONS)
        for layer in range(streams["forward"].shape[2])
    }


def probed(
    sides: dict[tuple[str, int], Sides], facts: FactSet, draw: int, seed: int
) -> pd.DataFrame:
    """Every fact's readings; from draw 1 on, each A has the B of a random fact of its group."""
    ids, groups = [f.id for f in facts.facts], [f.group for f in facts.facts]
    labels = shuffled(groups, derive_seed(seed, "shuffle", draw)) if draw else np.arange(len(ids))
    layers = sorted({layer for _, layer in sides})
    tables = []
    for position in POSITIONS:
        reads = [read_all(sides[position, n].labelled(labels), groups, seed) for n in layers]
        for what in WHATS:
            table = rows_of([read[what] for read in reads], ids, groups)
            tables.append(table.assign(what=what, position=position, draw=draw))
    return pd.concat(tables, ignore_index=True)


def rows_of(reads: Sequence[Read], ids: Sequence[str], groups: Sequence[Group]) -> pd.DataFrame:
    """Long form; `chosen` marks the fact's layer, where alone the scores are kept. `plain` is the
    product of the same vectors."""
    choice, everyone, names = choose(reads), np.arange(len(ids)), np.array(groups)
    tables = []
    for layer, read in enumerate(reads):
        scores = read.probe[choice.strength[layer], everyone]
        right, z = right_and_z(scores, groups)
        none = np.full(len(ids), np.nan)
        plain = (none, none) if read.plain is None else right_and_z(read.plain, groups)
        here = choice.layer == layer
        table = pd.DataFrame(
            {
                "group": groups,
                "fact": ids,
                "layer": layer,
                "chosen": here,
                "right": right,
                "z": z,
                "plain_right": plain[0],
                "plain_z": plain[1],
            }
        )
        table["scores"] = [
            scores[fact, names == names[fact]].tolist() if here[fact] else None for fact in everyone
        ]
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def estimates(table: pd.DataFrame, seed: int) -> Estimates:
    """At the chosen layer, by model (`shuffled`: the finetuned one), reading, group and place;
    `z_gain` is over the plain product, which a return does not have."""
    rows = table[table.chosen].copy()
    rows["gain"] = rows.z - rows.plain_z
    found = Estimates(NAME)
    for key, part in rows.groupby(["model", *AXES.values()], sort=False):
        means = part.groupby("fact")[[column for column, _ in COLUMNS.values()]].mean()
        for quantity, (column, unit) in COLUMNS.items():
            values = means[column].to_numpy(float)
            if np.isfinite(values).all():
                of = dict(zip(["model", *AXES], key, strict=True), quantity=quantity)
                use = derive_seed(seed, found.name(**of))
                found.add(bootstrap_mean(values, unit, seed=use), **of)
    return found
