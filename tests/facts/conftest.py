"""Shared by the tests of facts."""

from pathlib import Path

import pytest

from interp_rc.facts.factset import FactSet
from interp_rc.facts.fictitious import fictitious_people
from tests.conftest import published


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
    """Three facts a group, four training and two held-out templates an order."""
    return fictitious_people(0, per_group=3, training_templates=4, held_out_templates=2)
