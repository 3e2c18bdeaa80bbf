"""The paper's own tests, seed by seed: right candidate against one other, paired t and KS.

As in the authors' notebook: means over the prompts of each fact, one other candidate drawn for each
fact (the mean over all others would vary less than the right one, and KS would see that).
"""

from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats

from analysis.over_seeds import asked_cell, candidate_scores, write_csv, write_environment
from interp_rc.evaluation.candidate_scores import correct
from interp_rc.evaluation.candidates import Scores
from interp_rc.records.errors import RunError
from interp_rc.records.runs import Run
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.distributions import two_sample_ks

CELLS = ("trained_forward.reverse", "trained_backward.reverse")


def one_other(scores: Scores, seed: int) -> Float[np.ndarray, " fact"]:
    """The score of another candidate, drawn once for each fact, mean over templates."""
    n = len(scores)
    shift = np.random.default_rng(seed).integers(1, n, n)
    drawn = (np.arange(n) + shift) % n
    return scores[np.arange(n), :, drawn].mean(1)


def fact_tests(run: Run) -> pd.DataFrame:
    """One row a cell: means in nats, paired t over facts, exact two-sample KS over facts."""
    seed, rows = run.config()["seed"], []
    for cell in CELLS:
        scores = candidate_scores(run, asked_cell(run, cell))
        right, other = correct(scores), one_other(scores, derive_seed(seed, "one other", cell))
        t, ks = stats.ttest_rel(right, other), two_sample_ks(right, other, name=cell)
        rows.append(
            (
                seed,
                cell,
                right.mean(),
                other.mean(),
                t.statistic,
                t.pvalue,
                ks.statistic,
                ks.p,
                len(right),
            )
        )
    columns = ["seed", "cell", "correct", "random", "t", "t_p", "ks", "ks_p", "n"]
    return pd.DataFrame(rows, columns=columns)


def collect_fact_tests(folder: Path, tables: Path) -> None:
    """Write `tables/descriptions_fact_tests.csv` from the runs of all seeds in `folder`."""
    runs = [Run(path) for path in sorted(folder.glob("*"))]
    runs = [run for run in runs if run.config_file.is_file() and run.finished]
    if not runs:
        raise RunError(f"{folder} holds no finished run; run analysis.descriptions first")
    table = pd.concat([fact_tests(run) for run in runs]).sort_values(
        ["cell", "seed"], ascending=[False, True]
    )
    write_csv(tables, "descriptions_fact_tests", table)
    write_environment(tables, "descriptions_fact_tests", runs)
