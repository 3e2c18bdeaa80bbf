"""The small runs over seeds, shared by the tables that are made from them."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs: whoever comes first runs them, the others read them."""
    return tmp_path_factory.mktemp("analysis") / "runs"
