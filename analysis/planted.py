"""Does patching find what was planted? A hundred models of every kind and shape.

python -m analysis.planted             # about six minutes on two cores
python -m analysis.planted --seeds 3   # fewer, to look at
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from analysis.descriptions import TABLES
from analysis.over_seeds import write_csv
from interp_rc.engine.sites import Site
from interp_rc.models.adapters.parts import Component, Place
from interp_rc.models.load import Loaded
from interp_rc.models.planted.plan import KINDS, SHAPES, Planted
from interp_rc.models.planted.plant import plant
from interp_rc.records.environment import environment
from interp_rc.records.files import write_json
from interp_rc.records.nouns import Order
from interp_rc.tools.patching.discoveries import discoveries, first_place, is_discovery
from interp_rc.tools.patching.patching import noise_floors, patch
from interp_rc.training.confined import teach, untaught

COMPONENTS: tuple[Component, ...] = ("attn_out", "mlp_out")
SPANS = ("source", "prompt")


def trained(shape: Any, seed: int) -> Planted:
    """Facts taught to one module, in turn each layer's attention and MLP."""
    place = Place(COMPONENTS[seed % 2], seed // 2 % 4)
    return teach(untaught(shape, seed), place, seed)


def planted_rows(seeds: int) -> Iterator[dict[str, Any]]:
    """One row a planting and order in which it has a store."""
    makers = {kind: lambda shape, seed, kind=kind: plant(kind, shape, seed) for kind in KINDS}
    makers["trained"] = trained
    for kind, make in makers.items():
        for shape in SHAPES:
            for seed in tqdm(range(seeds), desc=f"{kind}, {shape}", disable=None):
                one = make(shape, seed)
                for order in one.store:
                    yield {"kind": kind, "shape": shape, "seed": seed, "order": order} | found(
                        one, order
                    )


def found(one: Planted, order: Order) -> dict[str, Any]:
    """What patching says of one planting, in float32, and what is true of it."""
    model = Loaded(one.loaded.model.float(), one.loaded.tokenizer)
    layers = model.model.config.num_hidden_layers
    sites = [Site(c, layer, span) for layer in range(layers) for c in COMPONENTS for span in SPANS]
    contrasts = one.contrasts[order]
    effects = patch(model, contrasts, sites)
    table = effects.table.assign(place=effects.table.span)
    floor = float(noise_floors(model, contrasts, sites).floor.max())
    tests = discoveries(table, floor, "at")
    hits = {test.name for test in tests if is_discovery(test)}
    null = {f"at.{at.place.component}.layer_{at.place.layer}.{at.span}" for at in one.null[order]}
    null &= {test.name for test in tests}  # the causal mask's zeros are not tested
    store = one.store[order]
    first = (store.place.component, store.place.layer, store.span)
    there = (table.site == first[0]) & (table.layer == first[1]) & (table.place == first[2])
    names = "at." + table.site + ".layer_" + table.layer.astype(str) + "." + table.place
    at_null = table[names.isin(null)].effect.abs()
    return {
        "first": same_place(first_place(table), first, one, order),
        "recovered": float(table[there].recovered.mean()),
        "discoveries": len(hits),
        "false": len(hits & null),
        "null_sites": len(null),
        "largest_null_effect": float(at_null.max()) if len(at_null) else 0.0,
        "noise_floor": floor,
    }


def same_place(found: tuple[str, int, str], true: tuple[str, int, str], one: Planted,
               order: Order) -> bool:  # fmt: skip
    """Where the prompt ends with the source, both names mean the same token."""
    spans = [contrast.spans["source"][0].end for contrast in one.contrasts[order]]
    ends = [len(contrast.clean) for contrast in one.contrasts[order]]
    return found == true or (spans == ends and found[:2] == true[:2])


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """By kind and shape: shares of plantings, and the false discovery rate on null sites."""
    grouped = rows.groupby(["kind", "shape"], sort=False)
    return pd.DataFrame(
        {
            "plantings": grouped.seed.nunique(),
            "first": grouped["first"].mean(),
            "recovered_least": grouped.recovered.min(),
            "discoveries": grouped.discoveries.sum(),
            "false_discovery_rate": (grouped["false"].sum() / grouped.discoveries.sum()).where(
                grouped.null_sites.sum() > 0
            ),
            "null_sites": grouped.null_sites.sum(),
            "false_per_null_site": grouped["false"].sum()
            / grouped.null_sites.sum().replace(0, np.nan),
            "largest_null_effect": grouped.largest_null_effect.max(),
        }
    ).reset_index()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--out", type=Path, default=TABLES)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    table = summary(pd.DataFrame(planted_rows(arguments.seeds)))
    write_csv(arguments.out, "planted", table)
    write_json(arguments.out / "planted.environment.json", environment())
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
