"""Symmetric and antisymmetric relations in a sentence encoder: the benchmark and all its controls.

python -m analysis.symmetry                            # under half an hour on two cores
python -m analysis.symmetry --published sym_train.tsv  # … about the published data; six minutes
python -m analysis.symmetry --smoke                    # in seconds, numbers without meaning

One run of `experiments/symmetry.yaml`; its results go into one table, and what was answered about
relations that were left out into another. About the published data no relation is left out, and how
many pairs it takes is tried in one draw of two sizes: that keeps it to minutes.
"""

import argparse
import json
from pathlib import Path

from analysis.descriptions import TABLES
from analysis.over_seeds import estimates_table, run_seeds, write_csv, write_environment
from interp_rc.measures.symmetry.measure import TABLE
from interp_rc.records.runs import Run

NAME = "symmetry"
MAIN_ALONE = (
    "measures.0.left_out_train=0",
    "measures.0.sizes=[48, 64]",
    "measures.0.size_draws=1",
)


def about(published: Path) -> list[str]:
    """What is set for a run about the published data; its split is as large as the benchmark's."""
    facts = {"kind": "published_symmetry", "path": str(published.resolve())}
    return [f"facts={json.dumps(facts | {'train': 1000, 'test': 300})}", *MAIN_ALONE]


def write_tables(run: Run, folder: Path, name: str = NAME) -> None:
    """`<name>.csv`: a result a row; `<name>_left_out.csv`: a relation and judge a row, if any."""
    write_csv(folder, name, estimates_table(run.results()))
    rows = run.table(TABLE)
    rows = rows[(rows.protocol == "left_out") & (rows.label_set == "two_labels")]
    keys = ["entities", "variant", "when", "left_out"]
    counted = rows.groupby(keys, sort=False, as_index=False)[["n", "hits"]].sum()
    if len(counted):
        write_csv(folder, f"{name}_left_out", counted)
    write_environment(folder, name, [run])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=Path, help="where the run is kept")
    parser.add_argument("--published", type=Path, help="the public TSV file, to ask about its rows")
    parser.add_argument("--smoke", action="store_true", help="the small form")
    asked = parser.parse_args()
    name = f"{NAME}_published" if asked.published else NAME
    folder = asked.runs or Path("runs") / (f"{name}_smoke" if asked.smoke else name)
    sets = about(asked.published) if asked.published else []
    (run,) = run_seeds(NAME, [0], folder, sets, smoke=asked.smoke)
    write_tables(run, folder / "tables" if asked.smoke else TABLES, name)


if __name__ == "__main__":
    main()
