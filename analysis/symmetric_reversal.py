"""Reversal by relation, with and without the benchmark of relations as text in pretraining.

    interp-rc run symmetric_reversal --out RUN
    python -m analysis.symmetric_reversal RUN

Differences are paired by seed, between models whose facts are the same.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from analysis.descriptions import TABLES
from analysis.over_seeds import estimates_table, write_csv, write_environment
from interp_rc.evaluation.parents.rates import POINTS
from interp_rc.measures.symmetric_reversal.measure import ASKED, BOTH, NAME, RIGHT, WRONG
from interp_rc.records.errors import RunError
from interp_rc.records.numbers import Estimate, Test
from interp_rc.records.sweeps import SEED, SweepRun
from interp_rc.stats.correction import holm
from interp_rc.stats.differences import paired_t
from interp_rc.stats.intervals import RATE, t_mean
from interp_rc.stats.over_seeds import estimates_by_cell

AXIS = "model.world.symmetry"
QUANTITIES = (
    "exact_match.{}",
    "candidate_accuracy.{}",
    "log_prob_corrected.{}.difference",
)
TESTED = [QUANTITIES[2].format(f"{kind}.{asked}") for kind, asked in ASKED.items()]
"""What reverses more, or less, after the text: in nats, Holm-corrected over the three kinds."""


def shown() -> list[str]:
    """Each kind as told and in reverse, the controls, the kinds against each other, and whether
    the base model has learnt from the text what holds in reverse."""
    cells = [f"{kind}.{asked}" for kind, reverse in ASKED.items() for asked in ("same", reverse)]
    cells += [".".join(key) for key in BOTH]
    of_cells = [quantity.format(cell) for cell in cells for quantity in QUANTITIES]
    against = [f"{NAME}.{kind}_less_{WRONG}.nats" for kind in RIGHT]
    return [*of_cells, *against, f"{NAME}.symmetric_less_{WRONG}.judged"]


def paired(table: pd.DataFrame, name: str) -> Iterator[tuple[int, pd.DataFrame]]:
    """For each amount of text, a row a seed: `value` with it and `without`."""
    rows = table[table.name == name].pivot(index=SEED, columns=AXIS, values="value")
    least, *others = sorted(rows.columns)
    for amount in others:
        both = rows[[least, amount]].dropna()
        yield int(amount), both.rename(columns={least: "without", amount: "value"})


def change(name: str, unit: str, both: pd.DataFrame) -> tuple[Estimate, Test | None]:
    """With less without, over seeds; no test of one seed alone."""
    scale, named = (100.0, POINTS) if unit == RATE else (1.0, unit)
    value, without = (scale * both[column].to_numpy(float) for column in ("value", "without"))
    test = paired_t(value, without, name=name) if len(both) > 1 else None
    return t_mean(value - without, named), test


def changes(table: pd.DataFrame) -> tuple[pd.DataFrame, list[Test]]:
    """A row for each number and amount of text; and the tests of what is `TESTED`."""
    rows, tests = [], []
    units = dict(zip(table.name, table.unit, strict=True))
    for name in (name for name in shown() if name in units):
        for amount, both in paired(table, name):
            apart, test = change(f"{name}.text_{amount}", units[name], both)
            rows.append({AXIS: amount, "name": name, "quantity": "change"} | apart.as_dict())
            if name in TESTED and test is not None:
                tests.append(test)
    return pd.DataFrame(rows), holm(tests)


def levels(table: pd.DataFrame) -> pd.DataFrame:
    """Every shown number at every amount of text, over seeds."""
    kept = table[table.name.isin(shown())]
    parts = []
    for (amount,), found in estimates_by_cell(kept, [AXIS]).items():
        part = estimates_table(found)
        part.insert(0, AXIS, amount)
        part.insert(2, "quantity", "level")
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def whole_table(sweep: SweepRun) -> pd.DataFrame:
    """Levels, and the changes with their tests. Raises RunError for a sweep over other things."""
    table = sweep.table()
    if AXIS not in table or SEED not in table or table[AXIS].nunique() < 2:
        raise RunError(f"{sweep.folder} is no sweep over {AXIS} and {SEED}; run symmetric_reversal")
    found, tests = changes(table)
    found["test"] = found.name + ".text_" + found[AXIS].astype(str)
    columns = ["name", "statistic", "p", "p_adjusted"]
    tested = pd.DataFrame([[getattr(t, c) for c in columns] for t in tests], columns=columns)
    found = found.merge(tested.rename(columns={"name": "test"}), how="left", on="test")
    return pd.concat([levels(table), found.drop(columns="test")], ignore_index=True)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path, help="the folder of the sweep")
    parser.add_argument("--out", type=Path, default=TABLES)
    given = parser.parse_args(arguments)
    sweep = SweepRun.open(given.run)
    write_csv(given.out, NAME, whole_table(sweep))
    runs = [sweep.trial(trial) for trial in sorted(sweep.table().trial.unique())]
    write_environment(given.out, NAME, runs)
    print(f"tables in {given.out}")


if __name__ == "__main__":
    main()
