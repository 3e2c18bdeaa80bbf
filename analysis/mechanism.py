"""Where the association lives, over ten seeds, as preregistered.

python -m analysis.mechanism            # four minutes a seed on two cores, training included
python -m analysis.mechanism --smoke    # the same path in seconds, numbers without meaning

Runs of `analysis.descriptions` in the same folder are given the measures that they lack.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.descriptions import TABLES
from analysis.old_names import renamed
from analysis.over_seeds import (
    MECHANISM,
    estimates_table,
    over_seeds,
    results_table,
    run_seeds,
    write_csv,
    write_environment,
)
from interp_rc.measures.probe.measure import TABLE
from interp_rc.records.nouns import ORDERS, TOLD_ONLY, TOLD_OTHERWISE, Group, Order
from interp_rc.records.numbers import Test
from interp_rc.records.packaged import packaged
from interp_rc.records.runs import Run
from interp_rc.records.strict_yaml import read_yaml
from interp_rc.stats.candidates import label_permutation
from interp_rc.stats.correction import holm
from interp_rc.stats.differences import paired_t
from interp_rc.stats.equivalence import non_superiority, tost
from interp_rc.stats.power import power


def prereg() -> dict[str, Any]:
    """Seeds, sites, margins and hypotheses, frozen before the measures were run on the seeds."""
    content: dict[str, Any] = read_yaml(packaged("experiments") / "prereg_mechanism.yaml")
    return content


def usable_totals(runs: list[Run]) -> set[tuple[int, Order]]:
    """Seeds and orders in which what separates two facts is surely above zero."""
    found = set()
    for run in runs:
        results = run.results()
        for order in ORDERS:
            total = results.get(f"patching.{order}.{TOLD_ONLY[order]}.total")
            if total is not None and total.low is not None and total.low > 0:
                found.add((int(run.config()["seed"]), order))
    return found


def with_shares(table: pd.DataFrame, usable: set[tuple[int, Order]]) -> pd.DataFrame:
    """Besides nats, each site's share of what separates two facts told in the order asked in.

    Only of `usable` totals, whose interval does not include zero.
    """
    shares = []
    for seed, rows in table.groupby("seed"):
        value = rows.set_index("name").value
        for order in ORDERS:
            if (seed, order) not in usable:
                continue
            total = value[f"patching.{order}.{TOLD_ONLY[order]}.total"]
            sites = [n for n in value.index if n.startswith(f"patching.{order}.")
                     and not n.endswith(("learnt", f"{TOLD_ONLY[order]}.total"))]  # fmt: skip
            shares += [
                (seed, name.replace("patching.", "patching_share.", 1), value[name] / total)
                for name in sites
            ]
    found = pd.DataFrame(shares, columns=["seed", "name", "value"])
    return pd.concat([table, found.assign(n=1, unit="share")], ignore_index=True)


def confirmatory_tests(runs: list[Run], table: pd.DataFrame, plan: dict[str, Any]) -> list[Test]:
    """The three questions of the plan, each family Holm-corrected."""
    value = table.pivot(index="seed", columns="name", values="value")
    return [
        *holm(where(value, plan)),
        *holm(gradient(value, plan)),
        *holm(probe(runs, value, plan)),
    ]


def where(value: pd.DataFrame, plan: dict[str, Any]) -> list[Test]:
    source, answer, shares = plan["sites"]["source"], plan["sites"]["answer"], plan["shares"]
    tests = []
    for order in ORDERS:
        told = column(value, share(order, TOLD_ONLY[order], source))
        other = column(value, share(order, TOLD_OTHERWISE[order], source))
        more = np.full(len(told), shares["more_than"])
        tests.append(paired_t(told, more, name=f"where_source.{order}", alternative="greater"))
        tests.append(non_superiority(other, shares["less_than"], name=f"where_other_way.{order}"))
    both = [share(order, TOLD_ONLY[order], answer) for order in ORDERS]
    forward, backward = value[both].dropna().to_numpy(float).T  # a seed must have both
    least = forward + shares["answer_difference"]
    return [*tests, paired_t(backward, least, name="where_answer", alternative="greater")]


def share(order: Order, group: Group, site: str) -> str:
    """The name of what a site restores, which the plan calls as it was called then."""
    return renamed(f"patching_share.{order}.{group}.{site}")


def gradient(value: pd.DataFrame, plan: dict[str, Any]) -> list[Test]:
    return [
        tost(
            column(value, f"gradient_cosine.base.{group}.reverse.all"),
            plan["gradient_margin"],
            name=f"gradient.{group}",
        )
        for group in map(TOLD_ONLY.__getitem__, ORDERS)
    ]


def probe(runs: list[Run], value: pd.DataFrame, plan: dict[str, Any]) -> list[Test]:
    tests = []
    for order in ORDERS:
        place = f"{order}.{TOLD_OTHERWISE[order]}.prompt_last"
        z = column(value, f"probe.finetuned.{place}.z")
        tests.append(non_superiority(z, plan["probe_margins"][order], name=f"probe.{order}.z"))
        scores = [chosen_scores(run, order) for run in runs]
        test, _ = label_permutation(scores, name=f"probe.{order}.accuracy", seed=0)
        tests.append(test)
    return tests


def chosen_scores(run: Run, order: str) -> np.ndarray:
    """Scores [fact, 1, candidate] of facts told the other way, where the answer would begin."""
    rows = run.table(TABLE).query(
        "model == 'finetuned' and labels == 'true' and chosen and position == 'prompt_last'"
    )
    rows = rows[(rows.order == order) & (rows.group == TOLD_OTHERWISE[order])]
    return np.stack(rows.scores.tolist())[:, None, :]


def column(value: pd.DataFrame, name: str) -> np.ndarray:
    """One value a seed; seeds that did not learn their facts have none."""
    return value[name].dropna().to_numpy(float)


def power_table(plan: dict[str, Any], n: int) -> pd.DataFrame:
    """Power of the equivalence tests if there is nothing at all, from the tuning seeds."""
    sd = plan["tuning_sd"]
    designs = [
        ("gradient", "tost", plan["gradient_margin"], sd["gradient"]),
        *(
            ("probe." + o, "non_superiority", m, sd["probe"])
            for o, m in plan["probe_margins"].items()
        ),
        ("where_other_way", "non_superiority", plan["shares"]["less_than"], sd["other_way"]),
    ]
    rows = [
        {"name": name, "test": test, "margin": margin, "sd": spread}
        | power(test, n, mean=0.0, sd=spread, seed=0, margin=margin).as_dict()
        for name, test, margin, spread in designs
    ]
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
    table = with_shares(results_table(runs, MECHANISM), usable_totals(runs))
    write_csv(folder, "mechanism_by_seed", table)
    write_csv(folder, "mechanism", estimates_table(over_seeds(table)))
    if not arguments.smoke:  # the small runs learn nothing, so that there is nothing to test
        write_csv(folder, "mechanism_tests", pd.DataFrame(confirmatory_tests(runs, table, plan)))
    write_csv(folder, "mechanism_power", power_table(plan, len(seeds)))
    write_environment(folder, "mechanism", runs)
    print(f"tables in {folder}")


if __name__ == "__main__":
    main()
