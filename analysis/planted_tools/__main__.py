"""Does each tool find what was planted? A hundred models of every kind, half of either shape.

python -m analysis.planted_tools             # an hour on one core
python -m analysis.planted_tools --seeds 3   # fewer, to look at
python -m analysis.planted_tools --tables planted_weights   # those that move weights
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from analysis.descriptions import TABLES
from analysis.over_seeds import write_csv
from analysis.planted_tools import (
    attention,
    attention_cut,
    editing,
    integrated_gradients,
    logit_attribution,
    logit_lens,
    memories,
    probes,
    transplants,
    update_geometry,
)
from analysis.planted_tools.finding import Tool
from interp_rc.models.planted.plan import KINDS, SHAPES, Kind
from interp_rc.models.planted.plant import plant
from interp_rc.records.environment import environment
from interp_rc.records.files import write_json

TOOLS: dict[str, Tool] = {
    "coefficients given": memories.coefficients,
    "neurons ranked": memories.neurons,
    "few neurons given": memories.few_neurons,
    "values exchanged": memories.exchanged,
    "memory transposed": memories.transposed,
    "integrated gradients": integrated_gradients.tool,
    "linear probe": probes.linear_probe,
    "mutual probe": probes.mutual_probe,
    "logit lens": logit_lens.find,
    "logit attribution": logit_attribution.find,
    "attention": attention.find,
    "attention cut": attention_cut.find,
}
OF_WEIGHTS: dict[str, Tool] = {
    "editing": editing.edits,
    "update readout": update_geometry.find,
    "weights given": transplants.given,
    "weights taken": transplants.taken,
    "smallest set": transplants.smallest,
    "neurons moved": transplants.neurons,
}
NAME, WEIGHTS = "planted_tools", "planted_weights"
WHICH = {NAME: TOOLS, WEIGHTS: OF_WEIGHTS}


ALL: tuple[Kind, ...] = (*KINDS, "value_as_key")


def rows(
    seeds: int, kinds: Sequence[Kind] = ALL, tools: Mapping[str, Tool] = TOOLS
) -> Iterator[dict[str, Any]]:
    """One row a tool, planting and order in which it has a store."""
    for kind in kinds:
        for shape in SHAPES:
            for seed in tqdm(range(seeds), desc=f"{kind}, {shape}", disable=None):
                one = plant(kind, shape, seed)
                for order in one.store:
                    for name, tool in tools.items():
                        found = tool(one, order)
                        if found is not None:
                            key = {"tool": name, "kind": kind, "shape": shape, "seed": seed}
                            yield key | {"order": order} | found._asdict()


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """By tool, kind and shape: shares of plantings, and the rate of calls on null sites."""
    grouped = table.groupby(["tool", "kind", "shape"], sort=False)
    return pd.DataFrame(
        {
            "plantings": grouped.seed.nunique(),
            "first": grouped["first"].agg(lambda of: of.dropna().astype(float).mean()),
            "discoveries": grouped.discoveries.sum(),
            "null_sites": grouped.null_sites.sum(),
            "false": grouped["false"].sum(),
            "false_per_null_site": grouped["false"].sum()
            / grouped.null_sites.sum().replace(0, np.nan),
            "largest_null": grouped.largest_null.max(),
        }
    ).reset_index()


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--tables", nargs="+", choices=WHICH, default=list(WHICH))
    parser.add_argument("--out", type=Path, default=TABLES)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.tables:
        table = summary(pd.DataFrame(rows(arguments.seeds, tools=WHICH[name])))
        write_csv(arguments.out, name, table)
        write_json(arguments.out / f"{name}.environment.json", environment())
        print(table.to_string(index=False))


if __name__ == "__main__":
    main()
