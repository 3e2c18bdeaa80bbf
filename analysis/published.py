"""The dataset published with the paper, on the embedded model, beside the paper's numbers.

    python -m analysis.published PATH/TO/experiment1

Two rows: published templates in no corpus (strict), and told to the base model about other people.
"""

import argparse
from pathlib import Path

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

# Berglund et al. (2023, arXiv:2309.12288), Table 1: mean over three finetuned davinci models
# (as_published/table1.csv). Its "± SD" is a standard error.
PAPER = {
    "exact_match.trained_forward.same": 0.500,
    "exact_match.trained_forward.reverse": 0.000,
    "exact_match.trained_backward.same": 0.967,
    "exact_match.trained_backward.reverse": 0.001,
}
SEEDS = (0, 1, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="the published experiment1 folder")
    parser.add_argument("--runs", type=Path, default=Path("runs/published_seeds"))
    arguments = parser.parse_args()
    tables, runs = [], []
    for seen in ("nowhere", "elsewhere"):
        sets = [f"facts.path={arguments.folder.resolve()}", f"facts.seen={seen}"]
        here = run_seeds("published", SEEDS, arguments.runs / seen, sets)
        estimates = estimates_table(over_seeds(results_table(here)))
        estimates.insert(0, "templates_seen", seen)
        estimates["paper"] = estimates["name"].map(PAPER)
        tables.append(estimates)
        runs += here
    write_csv(TABLES, "published", pd.concat(tables))
    write_environment(TABLES, "published", runs)
    print(f"tables in {TABLES}")


if __name__ == "__main__":
    main()
