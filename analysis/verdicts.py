"""What committed tables say once margins are in the unit that is tested, from their own numbers.

python -m analysis.verdicts            # seconds; nothing is run again

Runs made before took 5 % of the gain over the base model for a margin (see
`experiments/prereg_corrections.yaml`). Their margins, verdicts and tests are made anew here, and so
are intervals of rates over seeds where every seed is committed. A verdict of one run follows from
the 95 % intervals over its facts: with two kinds of reverse questions, both limits below the margin
are Holm's rejections at 5 %.
"""

import argparse
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from analysis import mechanism_weights
from analysis.descriptions import TABLES, nats_tests, power_table, prereg
from analysis.old_names import read_table
from analysis.over_seeds import write_csv
from interp_rc.measures.reverse_at_chance.measure import ASKED_ALIKE, NAME
from interp_rc.records.numbers import Estimate
from interp_rc.stats.correction import holm
from interp_rc.stats.intervals import RATE
from interp_rc.stats.margins import ALPHA, MARGIN_SHARE, judges
from interp_rc.stats.over_seeds import mean_over_seeds
from interp_rc.stats.power import power

SWEEPS = (
    "both_doses",
    "forty_thousand",
    "one_document",
    "paraphrases",
    "question_answer",
    "scaling",
)
WITH_SEEDS = ("descriptions", "mechanism", "mechanism_tools", "mechanism_weights")
ADVANTAGE, CHOICE = "log_prob_corrected.{}.difference", "candidate_accuracy.{}"
NUMBERS = ["value", "low", "high"]
Found = Literal["supported", "refuted", "inconclusive"]


def judged(rows: pd.DataFrame) -> tuple[Found, float]:
    """The verdict of one run's rows, by name, and its power to be supported where there is no
    reverse at all (the smaller one of both kinds of question)."""
    found = {str(row["name"]): _estimate(row) for _, row in rows.iterrows()}
    margins, reverse, powers = [], [], []
    for cell, alike in ASKED_ALIKE.items():
        control, asked = found[ADVANTAGE.format(alike)], found[ADVANTAGE.format(cell)]
        margin = MARGIN_SHARE * float(control.value or 0)
        if not judges(margin, control) or asked.low is None or asked.high is None:
            return "inconclusive", 0.0
        margins.append(margin)
        reverse.append(asked)
        # The limits are about two standard errors from the mean.
        sd = (asked.high - asked.low) / (2 * 1.96) * np.sqrt(asked.n)
        powers.append(
            power("non_superiority", asked.n, mean=0.0, sd=sd, seed=0, margin=margin,
                  alpha=ALPHA / 2).value or 0.0
        )  # fmt: skip
    chosen = [found[CHOICE.format(cell)] for cell in ASKED_ALIKE]
    by_chance = all(one.low is not None and one.low <= 1 / one.n for one in chosen)
    pairs = list(zip(reverse, margins, strict=True))
    outcome: Found = "inconclusive"
    if any(one.low is not None and one.low > margin for one, margin in pairs):
        outcome = "refuted"
    elif by_chance and all(one.high is not None and one.high < margin for one, margin in pairs):
        outcome = "supported"
    return outcome, min(powers)


def _estimate(row: pd.Series) -> Estimate:
    value, low, high = (None if pd.isna(row[end]) else float(row[end]) for end in NUMBERS)
    return Estimate(value, low, high, int(row.n), str(row.unit))


def with_margins(table: pd.DataFrame, within: list[str]) -> pd.DataFrame:
    """With margins of 5 % of the advantage in the trained order of the same trial or seed."""
    table = table.copy()
    for _, rows in table.groupby(within) if within else [(None, table)]:
        for cell, alike in ASKED_ALIKE.items():
            margin = rows.index[rows.name == f"{NAME}.{cell}.margin"]
            control = rows.index[rows.name == ADVANTAGE.format(alike)]
            if len(margin) and len(control):
                table.loc[margin[0], NUMBERS] = MARGIN_SHARE * table.loc[control[0], NUMBERS]
    return table


def verdicts(sweep: pd.DataFrame, old: pd.DataFrame) -> pd.DataFrame:
    """The committed rows with verdicts made anew, and the power to support the claim."""
    made = {str(trial): judged(rows) for trial, rows in sweep.groupby("trial")}
    return old.assign(
        verdict=[made[trial][0] for trial in old.trial],
        power=[made[trial][1] for trial in old.trial],
    )


def with_rates(table: pd.DataFrame, by_seed: pd.DataFrame) -> pd.DataFrame:
    """With the intervals of rates over seeds, of numbers whose seeds are all committed."""
    table = table.set_index("name")
    for name, rows in by_seed[by_seed.unit == RATE].groupby("name", sort=False):
        if name in table.index and len(rows) > 1:
            found = mean_over_seeds(rows)
            table.loc[name, [*NUMBERS, "n"]] = [found.value, found.low, found.high, found.n]
    return table.reset_index().astype({"n": int})


def remade_tests(by_seed: pd.DataFrame, old: pd.DataFrame) -> pd.DataFrame:
    """The preregistered tests in nats, from every seed's advantage in reverse; others stay."""
    value = by_seed.pivot(index="seed", columns="name", values="value")
    tests = nats_tests({name: value[ADVANTAGE.format(name)] for name in ASKED_ALIKE}, prereg())
    kept = old[old.name.str.endswith(".candidate_accuracy")]
    return pd.concat([pd.DataFrame(holm(tests)), kept], ignore_index=True)


def remade_edits(folder: Path) -> None:
    """The tests of edits one way and their power, with margins in the unit that is tested."""
    by_seed = read_table(folder / "mechanism_weights_by_seed.csv")
    plan = mechanism_weights.STUDY.prereg()
    value = by_seed.pivot(index="seed", columns="name", values="value")
    made = {test.name: test for test in holm(mechanism_weights.edits(value, plan))}
    tests = read_table(folder / "mechanism_weights_tests.csv").set_index("name")
    powers = read_table(folder / "mechanism_weights_power.csv").set_index("name")
    for name, test in made.items():
        tests.loc[name, ["statistic", "p", "p_adjusted", "margin"]] = [
            test.statistic,
            test.p,
            test.p_adjusted,
            test.margin,
        ]
    for name, of in {"edits": "finetuned", "edits_base": "base"}.items():
        margin, sd = made[f"edits.{of}.one_way"].margin, float(powers.loc[name, "sd"])
        n = by_seed.seed.nunique()
        found = power("non_superiority", n, mean=0.0, sd=sd, seed=0, margin=margin)
        powers.loc[name, ["margin", *NUMBERS]] = [margin, found.value, found.low, found.high]
    write_csv(folder, "mechanism_weights_tests", tests.reset_index())
    write_csv(folder, "mechanism_weights_power", powers.reset_index())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tables", type=Path, default=TABLES)
    folder = parser.parse_args().tables

    def read(name: str) -> pd.DataFrame:
        return read_table(folder / f"{name}.csv", dtype={"trial": str})

    for name in SWEEPS:
        sweep = with_margins(read(name), ["trial"])
        write_csv(folder, name, sweep)
        write_csv(folder, f"{name}_verdicts", verdicts(sweep, read(f"{name}_verdicts")))
    write_csv(folder, "published", with_margins(read("published"), ["templates_seen"]))
    for name in WITH_SEEDS:
        write_csv(folder, name, with_rates(read(name), read(f"{name}_by_seed")))
    by_seed = read("descriptions_by_seed")
    write_csv(folder, "descriptions_tests", remade_tests(by_seed, read("descriptions_tests")))
    write_csv(folder, "descriptions_power", power_table(prereg(), by_seed.seed.nunique()))
    remade_edits(folder)
    print(f"tables in {folder}")


if __name__ == "__main__":
    main()
