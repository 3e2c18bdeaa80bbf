"""Finished sweeps made by hand, as the folders of all experiments: no model, no training."""

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.descriptions import TABLES
from analysis.paper.parts import Paper
from analysis.paper.sweeps import collect
from interp_rc.records.files import write_parquet, write_yaml

RATES = {
    "exact_match.name_to_description.same": 0.8,
    "exact_match.description_to_name.same": 0.9,
    "exact_match.name_to_description.reverse": 0.01,
    "exact_match.description_to_name.reverse": 0.02,
}
INSTRUCTIONS = {"exact_match.instructions.same": 0.7, "exact_match.instructions.reverse": 0.04}
GRIDS: dict[str, tuple[dict[str, list[Any]], dict[str, float]]] = {
    "learning_rates": (
        {"training.learning_rate": [1e-4, 1e-3, 3e-3], "training.batch_size": [1, 4, 16]},
        RATES,
    ),
    "scaling": ({"model.size.width": [32, 64, 128]}, RATES | {"parameters": 1e5}),
    "forty_thousand": ({}, RATES),
    "both_doses": ({"facts.doses.both": [0, 30, 120]}, RATES),
    "paraphrases": ({"facts.training_templates": [1, 10, 30]}, RATES),
    "question_answer": ({}, RATES),
    "one_document": ({}, RATES),
    "prompt_tuning": ({}, RATES | {f"loss.epoch_{k}": 4 / (k + 1) for k in range(5)}),
    "in_context": (
        {"shots": [0, 3]},
        {
            f"{rule}.{subset}.reverse": 0.3
            for rule in ("exact_match", "letters_match")
            for subset in ("name_to_description", "description_to_name")
        },
    ),
    "instructions": (
        {},
        INSTRUCTIONS
        | {"floor": 0.03}
        | {f"exact_match.instructions.reverse.epoch_{k}": 0.01 * k for k in range(1, 6)},
    ),
    "instructions_sweep": (
        {"training.learning_rate": [1e-4, 1e-3], "training.batch_size": [8, 32]},
        INSTRUCTIONS,
    ),
}


def trials(grid: dict[str, list[Any]], numbers: dict[str, float], seeds: int = 3) -> pd.DataFrame:
    """A row a trial and estimate; values differ by seed and are all different."""
    rng, rows = np.random.default_rng(0), []
    for point in product(*grid.values(), range(seeds)):
        setting = dict(zip([*grid, "seed"], point, strict=True))
        for name, value in numbers.items():
            rate = name.startswith(("exact_match", "letters", "floor"))
            found = float(np.clip(value + 0.02 * rng.random(), 0, 1)) if rate else value
            found *= setting.get("model.size.width", 1) if name == "parameters" else 1
            rows.append(
                {"trial": "-".join(map(str, point))}
                | setting
                | {"name": name, "value": found, "low": found, "high": found}
                | {"n": 30, "unit": "fraction" if rate else "nat"}
            )
    return pd.DataFrame(rows)


@pytest.fixture(scope="session")
def sweeps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every experiment of the page as a finished sweep."""
    folder = tmp_path_factory.mktemp("sweeps")
    for experiment, (grid, numbers) in GRIDS.items():
        write_parquet(folder / experiment / "trials.parquet", trials(grid, numbers))
        write_yaml(
            folder / experiment / "sweep.yaml", {"sweep": {"grid": grid | {"seed": [0, 1, 2]}}}
        )
    return folder


@pytest.fixture(scope="session")
def tables(sweeps: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Those sweeps collected, beside the committed tables of descriptions."""
    folder = tmp_path_factory.mktemp("tables")
    for name in ("descriptions_by_seed.csv", "published.csv"):
        (folder / name).write_bytes((TABLES / name).read_bytes())
    collect(sweeps, folder)
    return folder


@pytest.fixture
def paper(tables: Path, tmp_path: Path) -> Paper:
    return Paper(tmp_path / "figures", tables)


@pytest.fixture
def make_trials() -> Callable[..., pd.DataFrame]:
    return trials
