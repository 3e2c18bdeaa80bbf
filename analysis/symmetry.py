"""Symmetric and antisymmetric relations in a sentence encoder: the benchmark and all its controls.

python -m analysis.symmetry            # under half an hour on two cores
python -m analysis.symmetry --smoke    # the same path in seconds, numbers without meaning

One run of `experiments/symmetry.yaml`; its results go into one table, and what was answered about
relations that were left out into another.
"""

import argparse
from pathlib import Path

from analysis.descriptions import TABLES
from analysis.over_seeds import estimates_table, run_seeds, write_csv, write_environment
from interp_rc.evaluation.symmetry.measure import TABLE
from interp_rc.records.runs import Run

NAME = "symmetry"


def write_tables(run: Run, folder: Path) -> None:
    """`symmetry.csv`: a result a row; `symmetry_left_out.csv`: a relation and judge a row."""
    write_csv(folder, NAME, estimates_table(run.results()))
    rows = run.table(TABLE)
    rows = rows[(rows.protocol == "left_out") & (rows.label_set == "two_labels")]
    keys = ["entities", "variant", "when", "left_out"]
    counted = rows.groupby(keys, sort=False, as_index=False)[["n", "hits"]].sum()
    write_csv(folder, f"{NAME}_left_out", counted)
    write_environment(folder, NAME, [run])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=Path, help="where the run is kept")
    parser.add_argument("--smoke", action="store_true", help="the small form")
    asked = parser.parse_args()
    folder = asked.runs or Path("runs") / (f"{NAME}_smoke" if asked.smoke else NAME)
    (run,) = run_seeds(NAME, [0], folder, smoke=asked.smoke)
    write_tables(run, folder / "tables" if asked.smoke else TABLES)


if __name__ == "__main__":
    main()
