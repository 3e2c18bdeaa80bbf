"""Shared by the tests of facts."""

import os
from pathlib import Path

import pytest

from interp_rc.facts.factset import FactSet
from interp_rc.facts.fictitious import fictitious_people


def published(experiment: str, file: str) -> Path:
    """A folder of published data, which is no part of this repository."""
    given = os.environ.get("INTERP_RC_REFERENCE")
    beside = Path(__file__).resolve().parents[3] / "shared" / "reference"
    root = Path(given) if given else beside
    folder = root / experiment if (root / experiment).is_dir() else root
    if not (folder / file).is_file():
        pytest.skip(f"no published data in {folder}; set INTERP_RC_REFERENCE to its folder")
    return folder


@pytest.fixture(scope="session")
def reference() -> Path:
    """The published data of Experiment 1."""
    return published("experiment1", "p2d_prompts_train.jsonl")


@pytest.fixture(scope="session")
def reference_instructions() -> Path:
    """The published data of Experiment 3."""
    return published("experiment3", "guidances.jsonl")


@pytest.fixture(scope="session")
def small() -> FactSet:
    """Three facts a subset, four training and two held-out templates an order."""
    return fictitious_people(0, per_subset=3, training_templates=4, held_out_templates=2)
