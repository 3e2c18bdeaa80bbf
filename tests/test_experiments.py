"""The small form of every experiment runs to its end, whatever it is made of."""

import pytest
from typer.testing import CliRunner

from interp_rc.cli import app
from interp_rc.pipeline.experiments import experiments
from interp_rc.records.runs import Run
from interp_rc.records.sweeps import SweepRun

# The demo's is what `smoke_run` runs; `published` needs data that are not part of the project.
ELSEWHERE = {"descriptions", "published"}
OURS = [path.stem for path in experiments() if path.stem not in ELSEWHERE]


@pytest.mark.slow
@pytest.mark.parametrize("name", OURS)
def test_small(name, tmp_path):
    result = CliRunner().invoke(app, ["run", name, "--smoke", "--out", str(tmp_path / name)])
    assert result.exit_code == 0, (result.output, result.exception)
    folder = tmp_path / name
    sweep = SweepRun(folder)
    found = sweep.results() if sweep.sweep_file.is_file() else Run.open(folder).results()
    assert len(found) > 10
    assert (folder / "report.html").is_file()
    assert "%" in result.stdout or "nat" in result.stdout
