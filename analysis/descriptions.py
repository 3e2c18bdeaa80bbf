"""The preregistered table of Experiment 1 on the embedded model: ten seeds, run once.

python -m analysis.descriptions            # about two minutes a seed on two cores
python -m analysis.descriptions --smoke    # the same path in seconds, numbers without meaning
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.over_seeds import (
    MECHANISM,
    asked_cell,
    candidate_scores,
    corrected_difference,
    estimates_table,
    over_seeds,
    results_table,
    run_seeds,
    write_csv,
    write_environment,
)
from interp_rc.measures.reverse_at_chance.measure import ASKED_ALIKE
from interp_rc.records.numbers import Test
from interp_rc.records.packaged import packaged
from interp_rc.records.runs import Run
from interp_rc.records.strict_yaml import read_yaml
from interp_rc.stats.candidates import label_permutation
from interp_rc.stats.correction import holm
from interp_rc.stats.equivalence import non_superiority
from interp_rc.stats.power import power

TABLES = Path(__file__).parent / "tables"


def prereg() -> dict[str, Any]:
    """Seeds, margins, exclusions and hypotheses, frozen before the seeds were run."""
    content: dict[str, Any] = read_yaml(packaged("experiments") / "prereg.yaml")
    return content


def confirmatory_tests(runs: list[Run], plan: dict[str, Any]) -> list[Test]:
    """Both claims for both kinds of reverse question, over seeds, each family Holm-corrected."""
    advantages, choice = {}, []
    for name in ASKED_ALIKE:
        asked = [asked_cell(run, name) for run in runs]
        advantages[name] = [corrected_difference(r, c) for r, c in zip(runs, asked, strict=True)]
        scores = [candidate_scores(r, c) for r, c in zip(runs, asked, strict=True)]
        test, _ = label_permutation(scores, name=f"{name}.candidate_accuracy", seed=0)
        choice.append(test)
    return [*holm(nats_tests(advantages, plan)), *holm(choice)]


def nats_tests(advantages: Mapping[str, Sequence[float]], plan: dict[str, Any]) -> list[Test]:
    """Is the advantage in reverse, one a seed, below the margin? The one of the plan's that is in
    the unit that is tested (`prereg_corrections.yaml` says why not the other)."""
    return [
        non_superiority(
            np.array(values), plan["strict_margins"][asked_for(name)], name=f"{name}.nats"
        )
        for name, values in advantages.items()
    ]


def asked_for(cell: str) -> str:
    """What is asked for in a cell of `ASKED_ALIKE`."""
    return "name" if cell.startswith("trained_forward") else "description"


def power_table(plan: dict[str, Any], n: int) -> pd.DataFrame:
    """Power of the non-superiority test if there is no reverse at all, from the tuning seeds."""
    rows = []
    for asked, margin in plan["strict_margins"].items():
        sd = plan["tuning_sd"][asked]
        estimate = power("non_superiority", n, mean=0.0, sd=sd, seed=0, margin=margin)
        row = {"asked_for": asked, "margin": margin, "sd": sd}
        rows.append(row | estimate.as_dict())
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--smoke", action="store_true", help="tiny runs, tables beside them")
    parser.add_argument("--runs", type=Path, default=Path("runs/descriptions_seeds"))
    arguments = parser.parse_args()
    plan = prereg()
    seeds = plan["seeds"][:2] if arguments.smoke else plan["seeds"]
    runs = run_seeds(plan["experiment"], seeds, arguments.runs, smoke=arguments.smoke)
    folder = arguments.runs / "tables" if arguments.smoke else TABLES
    table = results_table(runs, without=MECHANISM)
    write_csv(folder, "descriptions_by_seed", table)
    write_csv(folder, "descriptions", estimates_table(over_seeds(table)))
    write_csv(folder, "descriptions_tests", pd.DataFrame(confirmatory_tests(runs, plan)))
    write_csv(folder, "descriptions_power", power_table(plan, len(seeds)))
    write_environment(folder, "descriptions", runs)
    print(f"tables in {folder}")


if __name__ == "__main__":
    main()
