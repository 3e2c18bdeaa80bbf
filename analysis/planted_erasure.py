"""Does erasure tell one planted store from two? Fifty models of every kind and shape.

python -m analysis.planted_erasure             # a quarter of an hour on one core
python -m analysis.planted_erasure --seeds 3   # fewer, to look at

`two_way` has one look-up for both orders: its neurons fire for either entity, and what they write
is read as either answer, so it is one store. `two_stores` has two, in different layers. Decoys are
look-ups that nothing reads, and suggest the opposite: in models with two stores, one whose neurons
fire for both entities of a fact; in models with one, two in different layers, one for each.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from tqdm import tqdm

from analysis.descriptions import TABLES
from analysis.over_seeds import write_csv
from analysis.planted_tools.memories import facts_of, in_float64
from interp_rc.measures.erasure.asking import cases
from interp_rc.measures.erasure.damage import METHODS, damage_table
from interp_rc.measures.erasure.verdict import Stores, control, ratio, together, verdict
from interp_rc.models.planted.plan import (
    DECOY_HEAD,
    DECOY_MLP,
    DESCRIPTIONS,
    LAYERS,
    NAMES,
    SHAPES,
    Kind,
    Lookup,
    Plan,
    Planted,
    make_plan,
)
from interp_rc.models.planted.plant import planted
from interp_rc.records.environment import environment
from interp_rc.records.files import write_json
from interp_rc.records.nouns import ORDERS
from interp_rc.records.seeds import generator

NAME = "planted_erasure"
TRUTH: dict[Kind, Stores] = {"two_way": "one store", "two_stores": "two stores"}
TEMPLATES = {order: (["0", "1"], ["2", "3"]) for order in ORDERS}
SHARE = 0.5
FIRST = 50  # seed: the methods and the rule of `together` were shaped on lower ones


def planted_rows(seeds: int) -> Iterator[dict[str, Any]]:
    """One row a planting, order erased and method."""
    for kind in TRUTH:
        for decoys in (False, True):
            for shape in SHAPES:
                name = f"{kind}, {shape}{', decoys' if decoys else ''}"
                for seed in tqdm(range(FIRST, FIRST + seeds), desc=name, disable=None):
                    plan = make_plan(kind, seed)
                    if decoys:
                        add_decoys(plan, kind, seed)
                    key = {"kind": kind, "decoys": decoys, "shape": shape, "seed": seed}
                    for row in erased(planted(plan, kind, shape, seed)):
                        yield key | row


def add_decoys(plan: Plan, kind: Kind, seed: int) -> None:
    draw = generator(seed, "decoys", kind)
    stores = {lookup.layer for lookup in plan.lookups}
    layers = draw.sample([layer for layer in range(LAYERS) if layer not in stores], 2)
    names, descriptions = list(NAMES), [DESCRIPTIONS[j] for j in plan.pairs]
    strength = 2 * draw.uniform(1.5, 3)
    if TRUTH[kind] == "two stores":
        keys: list[tuple[int, ...]] = list(zip(names, descriptions, strict=True))
        plan.lookups.append(Lookup(layers[0], keys, list(DECOY_MLP), strength))
    else:
        for layer, own, writes in zip(
            layers, (names, descriptions), (DECOY_MLP, DECOY_HEAD), strict=True
        ):
            plan.lookups.append(Lookup(layer, [(i,) for i in own], list(writes), strength))


def erased(one: Planted) -> Iterator[dict[str, Any]]:
    """Every fact in either order, each way; float64."""
    facts, model = facts_of(one), in_float64(one)
    ids = [fact.id for fact in facts.facts]
    texts = [c.clean + c.target for some in one.contrasts.values() for c in some]
    for order in ORDERS:
        some = cases(facts.queries, ids, order, TEMPLATES, seed=0)
        table = damage_table(model, some, texts, SHARE)
        for method in METHODS:
            rows = table[table.method == method]
            found, checked = ratio(rows, seed=0), control(rows, seed=0)
            yield {
                "order": order,
                "method": method,
                "reached": float(rows.reached.mean()),
                "ratio": found.value,
                "low": found.low,
                "high": found.high,
                "control": checked.value,
                "control_low": checked.low,
                "verdict": verdict(found, checked),
            }


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """By kind, decoys and shape: for each method, and for all of them together, the share of
    plantings in which the verdict is right whichever order is erased."""
    found = []
    for key, part in rows.groupby(["kind", "decoys", "shape"], sort=False):
        truth = TRUTH[key[0]]
        for method, some in [*part.groupby("method", sort=False), ("together", part)]:
            said = {seed: [*one.verdict] for seed, one in some.groupby("seed")}
            whole = pd.Series({seed: together(one) for seed, one in said.items()})
            right = whole == truth
            if method != "together":
                right = pd.Series({seed: set(one) == {truth} for seed, one in said.items()})
            found.append(
                dict(zip(("kind", "decoys", "shape"), key, strict=True))
                | {
                    "method": method,
                    "plantings": some.seed.nunique(),
                    "right": float(right.mean()),
                    "wrong": float(((whole != truth) & (whole != "inconclusive")).mean()),
                    "ratio_least": some.ratio.min(),
                    "ratio_most": some.ratio.max(),
                    "control_least": some.control.min(),
                    "reached": some.reached.mean(),
                }
            )
    return pd.DataFrame(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--out", type=Path, default=TABLES)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = pd.DataFrame(planted_rows(arguments.seeds))
    table = summary(rows)
    write_csv(arguments.out, NAME, table)
    write_csv(arguments.out, f"{NAME}_by_planting", rows)
    write_json(arguments.out / f"{NAME}.environment.json", environment())
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
