"""The small form of every experiment runs to its end, whatever it is made of."""

import pytest
from typer.testing import CliRunner

from interp_rc.cli import app
from interp_rc.pipeline.experiments import experiments
from tests.test_readme import check_finished, commands

# Those of the README's commands run there; `published` needs data that are not part of the project.
ELSEWHERE = {"published"} | {one[2] for one in commands() if one[1] == "run"}
OURS = [path.stem for path in experiments() if path.stem not in ELSEWHERE]


@pytest.mark.slow
@pytest.mark.parametrize("name", OURS)
def test_small(name, tmp_path):
    result = CliRunner().invoke(app, ["run", name, "--smoke", "--out", str(tmp_path / name)])
    assert result.exit_code == 0, (result.output, result.exception)
    check_finished(tmp_path / name)
    assert "%" in result.stdout or "nat" in result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", ["descriptions", "symmetric_reversal"])
def test_small_on_a_pretrained_model(name, smoke_run, tmp_path):
    """Those that ask an embedded model what it forgot: of another one they leave that out."""
    model = f"model={{kind: pretrained, source: {smoke_run.base}}}"
    arguments = ["run", name, "--smoke", "--set", model, "--out", str(tmp_path / name)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    check_finished(tmp_path / name)
