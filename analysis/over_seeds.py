"""One experiment over several seeds: run it, and bring the runs' numbers together."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from interp_rc.evaluation.candidate_scores import correct, corrected_scores, others
from interp_rc.evaluation.candidates import Scores, score_tensor
from interp_rc.evaluation.cells import Asked, cells
from interp_rc.facts.folder import read_facts
from interp_rc.measures.behaviour.measure import CANDIDATES
from interp_rc.pipeline.config import load_config
from interp_rc.pipeline.experiments import find_experiment
from interp_rc.pipeline.run import execute
from interp_rc.records.environment import environment
from interp_rc.records.files import replacing, write_json
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Run, evaluated
from interp_rc.stats.over_seeds import mean_over_seeds


def run_seeds(
    experiment: str,
    seeds: Sequence[int],
    folder: Path,
    sets: Sequence[str] = (),
    *,
    smoke: bool = False,
) -> list[Run]:
    """A run a seed, one after another; finished ones are kept, an interrupted one continues.

    Small ones get no page: `interp-rc report` writes it where somebody wants to see it.
    """
    runs = []
    for seed in seeds:
        print(f"{folder.name}: seed {seed}", flush=True)
        config = load_config(find_experiment(experiment), [*sets, f"seed={seed}"], smoke=smoke)
        runs.append(execute(config, folder / f"seed{seed}", resume=True, page=not smoke))
    return runs


MECHANISM = ("patching.", "gradient_cosine.", "one_step.", "movement.", "probe.")


def results_table(
    runs: Sequence[Run], starting: tuple[str, ...] = (), *, without: tuple[str, ...] = ()
) -> pd.DataFrame:
    """One row a seed and number: seed, name, value, n (facts), unit; by the names' beginnings."""
    rows = [
        (run.config()["seed"], name, e.value, e.n, e.unit)
        for run in runs
        for name, e in run.results().items()
        if (name.startswith(starting) or not starting)
        and not (without and name.startswith(without))
    ]
    return pd.DataFrame(rows, columns=["seed", "name", "value", "n", "unit"])


def over_seeds(table: pd.DataFrame) -> dict[str, Estimate]:
    """Each number's mean over seeds, as `mean_over_seeds` takes it."""
    return {str(name): mean_over_seeds(rows) for name, rows in table.groupby("name", sort=False)}


def estimates_table(estimates: dict[str, Estimate]) -> pd.DataFrame:
    return pd.DataFrame([{"name": name} | e.as_dict() for name, e in estimates.items()])


def asked_cell(run: Run, name: str) -> Asked:
    """The queries of one group and direction, e.g. ``trained_backward.reverse``."""
    return next(cell for cell in cells(read_facts(run.facts).queries) if cell.name == name)


def candidate_scores(run: Run, cell: Asked) -> Scores:
    """Raw log-probabilities of the evaluated model, in nats."""
    return score_tensor(evaluated(run.table(CANDIDATES)), cell.queries, "log_prob")


def corrected_difference(run: Run, cell: Asked) -> float:
    """Right candidate less the others, prior-corrected, mean over facts, in nats."""
    scores = corrected_scores(run.table(CANDIDATES), cell.queries)
    assert scores is not None
    return float((correct(scores) - others(scores)).mean())


def write_csv(folder: Path, name: str, table: pd.DataFrame) -> None:
    with replacing(folder / f"{name}.csv") as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")


def write_environment(folder: Path, name: str, runs: Sequence[Run]) -> None:
    """Which code and machine made the runs of a table, from the runs themselves."""
    found = {json.dumps(one) for run in runs for one in environments(run)}
    write_json(
        folder / f"{name}.environment.json",
        {"runs": [json.loads(one) for one in sorted(found)], "table": environment()},
    )


def environments(run: Run) -> Iterator[dict[str, Any]]:
    """Where a run was begun, and everywhere it went on (with more measures, say)."""
    here = {k: v for k, v in run.environment().items() if k != "seed"}
    yield here
    for event in run.log():
        if event["event"] == "environment":
            yield here | event["changed"]
