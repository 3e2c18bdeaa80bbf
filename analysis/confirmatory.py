"""A table of preregistered tests over seeds: run what lacks, test, and write it down."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.descriptions import TABLES
from analysis.over_seeds import (
    estimates_table,
    over_seeds,
    results_table,
    run_seeds,
    write_csv,
    write_environment,
)
from interp_rc.pipeline.config import load_config
from interp_rc.pipeline.experiments import find_experiment
from interp_rc.records.numbers import Test
from interp_rc.records.packaged import packaged
from interp_rc.records.runs import Run
from interp_rc.records.strict_yaml import read_yaml
from interp_rc.stats.correction import holm
from interp_rc.stats.differences import paired_t
from interp_rc.stats.power import power

Values = pd.DataFrame
"""A row a seed, a column a number."""
Plan = dict[str, Any]
Question = Callable[[Values, Plan], list[Test]]


@dataclass(frozen=True, slots=True)
class Study:
    """`plan` names the preregistration, `added` the measures that runs are given, `beginnings`
    those of their numbers' names; numbers that match one of `by_seed` are committed seed by seed.
    Tests are Holm-corrected within a question; margins in `equivalences` are two-sided."""

    name: str
    plan: str
    added: Sequence[str]
    beginnings: tuple[str, ...]
    by_seed: Sequence[str]
    questions: Sequence[Question]
    equivalences: Sequence[str] = ()

    def prereg(self) -> Plan:
        content: Plan = read_yaml(packaged("experiments") / f"{self.plan}.yaml")
        return content

    def tests(self, value: Values, plan: Plan) -> list[Test]:
        return [test for question in self.questions for test in holm(question(value, plan))]

    def power_table(self, plan: Plan, n: int) -> pd.DataFrame:
        """Power of the tests of nothing if there is nothing at all, from the tuning seeds."""
        rows = []
        for name, margin in plan["margins"].items():
            test: Any = "tost" if name in self.equivalences else "non_superiority"
            spread = plan["tuning_sd"][name]
            found = power(test, n, mean=0.0, sd=spread, seed=0, margin=margin)
            rows.append(
                {"name": name, "test": test, "margin": margin, "sd": spread} | found.as_dict()
            )
        return pd.DataFrame(rows)

    def with_added(self, experiment: str, folder: Path, *, smoke: bool) -> str:
        """The experiment's measures (in small only the answers, which the others need), or those of
        the run that is there, and those of this table that it lacks, as a `--set`."""
        if (folder / "config.yaml").is_file():
            measures: list[Any] = Run(folder).config()["measures"]
        elif smoke:
            measures = [{"kind": "behaviour"}]
        else:
            config = load_config(find_experiment(experiment))
            measures = [measure.model_dump(mode="json") for measure in config.measures]
        there = {measure["kind"] for measure in measures}
        added = [{"kind": kind} for kind in self.added if kind not in there]
        return f"measures={[*measures, *added]}".replace("None", "null")

    def main(self, description: str) -> None:
        parser = argparse.ArgumentParser(description=description.split("\n")[0])
        parser.add_argument("--smoke", action="store_true", help="tiny runs, tables beside them")
        parser.add_argument("--runs", type=Path, default=Path("runs/descriptions_seeds"))
        parser.add_argument("--seeds", type=int, nargs="+", help="others than the plan's, to tune")
        arguments = parser.parse_args()
        plan, smoke = self.prereg(), arguments.smoke
        seeds = arguments.seeds or (plan["seeds"][:2] if smoke else plan["seeds"])
        runs = [
            run
            for seed in seeds
            for run in run_seeds(
                plan["experiment"],
                [seed],
                arguments.runs,
                [self.with_added(plan["experiment"], arguments.runs / f"seed{seed}", smoke=smoke)],
                smoke=smoke,
            )
        ]
        elsewhere = smoke or arguments.seeds
        folder = arguments.runs / "tables" if elsewhere else TABLES
        table = results_table(runs, self.beginnings)
        write_csv(folder, self.name, estimates_table(over_seeds(table)))
        tested = table.name.str.fullmatch("|".join(self.by_seed))
        write_csv(folder, f"{self.name}_by_seed", table[tested])
        # The small runs learn nothing, so that there is nothing to test; nor does one seed tell.
        if not smoke and len(seeds) > 1:
            value = table.pivot(index="seed", columns="name", values="value")
            write_csv(folder, f"{self.name}_tests", pd.DataFrame(self.tests(value, plan)))
        if len(seeds) > 1:
            write_csv(folder, f"{self.name}_power", self.power_table(plan, len(seeds)))
        write_environment(folder, self.name, runs)
        print(f"tables in {folder}")


def column(value: Values, name: str) -> np.ndarray:
    """One value a seed; seeds that did not learn their facts have none."""
    return value[name].dropna().to_numpy(float)


def pair(value: Values, one: str, other: str) -> np.ndarray:
    both = value[[one, other]].dropna()
    return (both[one] - both[other]).to_numpy(float)


def above(values: np.ndarray, least: float, name: str) -> Test:
    return paired_t(values, np.full(len(values), least), name=name, alternative="greater")


def more(value: Values, one: str, other: str, name: str) -> Test:
    return above(pair(value, one, other), 0.0, name)
