"""Memories, gradients, probes, lenses and attention over ten seeds, as preregistered.

python -m analysis.mechanism_tools            # four minutes more a seed on two cores
python -m analysis.mechanism_tools --smoke    # the same path in seconds, numbers without meaning

Runs of `analysis.descriptions` and `analysis.mechanism` in the same folder are given the measures
that they lack.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

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
from interp_rc.records.nouns import ORDERS, TOLD_ONLY, TOLD_OTHERWISE
from interp_rc.records.numbers import Test
from interp_rc.records.packaged import packaged
from interp_rc.stats.correction import holm
from interp_rc.stats.differences import paired_t
from interp_rc.stats.equivalence import non_superiority, tost
from interp_rc.stats.power import power

NAME = "mechanism_tools"
ADDED = (
    "memories",
    "transposition",
    "integrated_gradients",
    "movement",
    "bilinear",
    "lens",
    "attention",
)
BEGINNINGS = (
    "memories.",
    "transposition.",
    "integrated_gradients.",
    "movement.",
    "bilinear.",
    "logit_lens.",
    "logit_attribution.",
    "attention.",
    "attention_cut.",
)
STEPS = 16
BY_SEED = (
    r"memories\..*(transplant|exchange).*\.k16",
    r"transposition\.finetuned\.(\w+\.){3}z",
    r"bilinear\.finetuned\..*prompt_last\.z",
    rf"movement\.steps\..*\.{STEPS}\..*layer_\d+",
    r"logit_lens\..*resid_post\.\d+\.over_foil",
    r"attention_cut\..*\.all\.over_foil",
)
"""What the tests read, and what is like it: committed seed by seed."""
Values = pd.DataFrame
"""A row a seed, a column a number."""


def prereg() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(
        (packaged("experiments") / "prereg_tools.yaml").read_text(encoding="utf-8")
    )
    return content


def confirmatory_tests(value: Values, plan: dict[str, Any]) -> list[Test]:
    return [test for question in QUESTIONS for test in holm(question(value, plan))]


def neurons(value: Values, plan: dict[str, Any]) -> list[Test]:
    tests = []
    for order in ORDERS:
        k = f"k{plan['few']}"
        top = f"memories.{order}.{TOLD_ONLY[order]}.transplant.top.{k}"
        drawn = f"memories.{order}.{TOLD_ONLY[order]}.transplant.random.{k}"
        other = f"memories.{order}.{TOLD_OTHERWISE[order]}.transplant.top.{k}"
        tests.append(more(value, top, drawn, f"neurons.{order}.more_than_random"))
        tests.append(more(value, top, other, f"neurons.{order}.more_than_told_otherwise"))
    return tests


def exchange(value: Values, plan: dict[str, Any]) -> list[Test]:
    tests = []
    for order in ORDERS:
        start = f"memories.{order}.{TOLD_ONLY[order]}.exchange_with_"
        own, third = (f"{start}{who}.other_target.k{plan['few']}" for who in ("other", "third"))
        difference = pair(value, own, third)
        margin = plan["margins"]["exchange"]
        tests.append(non_superiority(difference, margin, name=f"exchange.{order}"))
    return tests


def transposition(value: Values, plan: dict[str, Any]) -> list[Test]:
    tests = []
    for order in ORDERS:
        start = f"transposition.finetuned.{order}"
        told = column(value, f"{start}.{TOLD_ONLY[order]}.value_as_key.z")
        both = column(value, f"{start}.both.value_as_key.z")
        margin, name = plan["margins"]["transposition"], f"transposition.{order}"
        tests.append(non_superiority(told, margin, name=f"{name}.told_one_way"))
        tests.append(above(both, 0.0, f"{name}.told_both_ways"))
    return tests


def gained(value: Values, plan: dict[str, Any]) -> list[Test]:
    tests = []
    for order in ORDERS:
        start, margin = f"bilinear.finetuned.{order}", plan["margins"]["gained"]
        told = column(value, f"{start}.{TOLD_OTHERWISE[order]}.prompt_last.z")
        both = column(value, f"{start}.both.prompt_last.z")
        tests.append(non_superiority(told, margin, name=f"gained.{order}.told_otherwise"))
        tests.append(above(both, margin, f"gained.{order}.told_both_ways"))
    return tests


def movement(value: Values, plan: dict[str, Any]) -> list[Test]:
    tests = []
    entities = {"forward": ("name", "description"), "backward": ("description", "name")}
    streams = [n for n in value if n.startswith("movement.steps.") and ".layer_" in n]
    last = f"layer_{max(int(name.rpartition('_')[2]) for name in streams)}"
    for order in ORDERS:
        start = f"movement.steps.{TOLD_ONLY[order]}.{STEPS}"
        for which, entity in zip(("first", "second"), entities[order], strict=True):
            moved = column(value, f"{start}.{entity}.{last}")
            tests.append(above(moved, 0.0, f"movement.{order}.told_{which}"))
    less = column(value, f"movement.steps.pooled.{STEPS}.second_less_first.{last}")
    tests.append(above(-less, 0.0, "movement.second_less_than_first"))
    margin = plan["margins"]["movement"]
    return [*tests, tost(less, margin, name="movement.second_like_first")]


def lens(value: Values, plan: dict[str, Any]) -> list[Test]:
    tests = []
    for order in ORDERS:
        stage = last_stage(value)
        names = [
            f"logit_lens.{order}.{subset}.answer.{stage}.over_foil"
            for subset in (TOLD_ONLY[order], TOLD_OTHERWISE[order])
        ]
        told, other = value[names].dropna().to_numpy(float).T
        less = plan["margins"]["lens"] * told - other
        tests.append(above(less, 0.0, f"lens.{order}"))
    return tests


def last_stage(value: Values) -> str:
    layers = [n.split(".")[5] for n in value if n.startswith("logit_lens.") and ".resid_post." in n]
    return f"resid_post.{max(map(int, layers))}"


def attention(value: Values, plan: dict[str, Any]) -> list[Test]:
    tests = []
    for order in ORDERS:
        start = f"attention_cut.{order}.{TOLD_ONLY[order]}"
        source, others = (f"{start}.{who}.all.over_foil" for who in ("source", "others"))
        tests.append(more(value, source, others, f"attention.{order}.source_more_than_others"))
    return tests


QUESTIONS: tuple[Callable[[Values, dict[str, Any]], list[Test]], ...] = (
    neurons,
    exchange,
    transposition,
    gained,
    movement,
    lens,
    attention,
)


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


def power_table(plan: dict[str, Any], n: int) -> pd.DataFrame:
    """Power of the tests of nothing if there is nothing at all, from the tuning seeds."""
    rows = []
    for name, margin in plan["margins"].items():
        test: Any = "tost" if name == "movement" else "non_superiority"
        spread = plan["tuning_sd"][name]
        found = power(test, n, mean=0.0, sd=spread, seed=0, margin=margin)
        rows.append({"name": name, "test": test, "margin": margin, "sd": spread} | found.as_dict())
    return pd.DataFrame(rows)


def with_added(experiment: str) -> str:
    """The experiment's measures and those of this table, as a `--set`."""
    measures = [
        m.model_dump(mode="json") for m in load_config(find_experiment(experiment)).measures
    ]
    return f"measures={[*measures, *({'kind': kind} for kind in ADDED)]}".replace("None", "null")


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("--smoke", action="store_true", help="tiny runs, tables beside them")
    parser.add_argument("--runs", type=Path, default=Path("runs/descriptions_seeds"))
    parser.add_argument("--seeds", type=int, nargs="+", help="others than the plan's, to tune")
    arguments = parser.parse_args()
    plan = prereg()
    seeds = arguments.seeds or (plan["seeds"][:2] if arguments.smoke else plan["seeds"])
    sets = [with_added(plan["experiment"])]
    runs = run_seeds(plan["experiment"], seeds, arguments.runs, sets, smoke=arguments.smoke)
    elsewhere = arguments.smoke or arguments.seeds
    folder = arguments.runs / "tables" if elsewhere else TABLES
    table = results_table(runs, BEGINNINGS)
    write_csv(folder, NAME, estimates_table(over_seeds(table)))
    tested = table.name.str.fullmatch("|".join(BY_SEED))
    write_csv(folder, f"{NAME}_by_seed", table[tested])
    if not arguments.smoke:  # the small runs learn nothing, so that there is nothing to test
        value = table.pivot(index="seed", columns="name", values="value")
        write_csv(folder, f"{NAME}_tests", pd.DataFrame(confirmatory_tests(value, plan)))
    write_csv(folder, f"{NAME}_power", power_table(plan, len(seeds)))
    write_environment(folder, NAME, runs)
    print(f"tables in {folder}")


if __name__ == "__main__":
    main()
