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
