"""The commands of the README work, in its order, on small sizes."""

import re
import shlex
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
from typer.testing import CliRunner

from interp_rc.cli import app
from interp_rc.pipeline.sweep.plan import Plan, load_plan
from interp_rc.records.packaged import packaged
from interp_rc.records.runs import Run
from interp_rc.records.sweeps import SweepRun

README = Path(__file__).resolve().parents[1] / "README.md"
TEXT = README.read_text(encoding="utf-8")


def blocks(language: str, text: str = TEXT) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(text: str = TEXT) -> list[list[str]]:
    lines = [line for block in blocks("sh", text) for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("interp-rc ")]


def tasks() -> dict[str, str]:
    """What a user comes with, by the bold words that open it; examples alone go on where the task
    before ended."""
    _, _, text = TEXT.partition("\n## Tasks\n")
    parts = re.split(r"^\*\*(.+?)\.?\*\*", text.partition("\n## ")[0], flags=re.MULTILINE)
    found: dict[str, str] = {}
    for name, part in zip(parts[1::2], parts[2::2], strict=True):
        if commands(part):
            found[name] = part
        elif blocks("python", part):
            found[[*found][-1]] += part
    return found


def matching(word: str) -> list[str]:
    """The files that a shell would put in the place of a pattern."""
    return sorted(map(str, Path().glob(word))) if "*" in word else []


def in_small(arguments: list[str]) -> list[str]:
    """The same command on small sizes; the demo once, its variants with the first measure alone."""
    if arguments[0] != "run":
        return arguments
    variant = arguments[1] == "descriptions" and "--set" in arguments
    return [*arguments, "--smoke", *(["--set", "measures=[{kind: behaviour}]"] if variant else [])]


def check_finished(folder: Path) -> None:
    """A run or sweep that is there whole, with its page."""
    sweep = SweepRun(folder)
    found = sweep.results() if sweep.sweep_file.is_file() else Run.open(folder).results()
    assert len(found) > 10
    assert (folder / "report.html").is_file()


def test_every_command_and_example_is_of_a_task():
    assert [one for text in tasks().values() for one in commands(text)] == commands()
    assert [one for text in tasks().values() for one in blocks("python", text)] == blocks("python")
    assert len(commands()) >= 30
    assert len(blocks("python")) == 3


@pytest.mark.slow
@pytest.mark.parametrize("task", tasks())
def test_the_commands_and_examples_of_a_task_run(task, smoke_run, tmp_path, monkeypatch):
    """One after the other, in a folder that holds the demo's run if they don't make it."""
    monkeypatch.chdir(tmp_path)
    text, demo = tasks()[task], Path("runs/demo")
    if not any("--out runs/demo" in shlex.join(one) for one in commands(text)):
        shutil.copytree(smoke_run.folder, demo)
    for name, lines in re.findall(r"^```json (\S+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        Path(name).write_text(lines, encoding="utf-8")
    for _, *written in commands(text):
        arguments = [one for word in written for one in (matching(word) or [word])]
        result = CliRunner().invoke(app, in_small(arguments))
        assert result.exit_code == 0, (arguments, result.output, result.exception)
        if arguments[0] == "run":
            check_finished(Path(arguments[arguments.index("--out") + 1]))
    names: dict[str, object] = {}  # one example goes on where another ended
    for example in blocks("python", text):
        exec(compile(example, "README.md", "exec"), names)


def test_hub_commands_are_valid_configurations():
    lines = [shlex.split(line) for block in blocks("sh network") for line in block.splitlines()]
    assert len(lines) == 12
    for _, run, name, *options in lines:
        if run == "parents":
            assert name == "collect"
            continue
        assert run == "run"
        sets = [value for flag, value in pairwise(options) if flag == "--set"]
        plan = load_plan(packaged("experiments") / f"{name}.yaml", sets)
        configs = [trial.config for trial in plan.trials] if isinstance(plan, Plan) else [plan]
        assert {config.model.kind for config in configs} <= {"pretrained", "endpoint", "encoder"}


def test_links_lead_to_files():
    for target in re.findall(r"\]\((?!http)([^)]+)\)", TEXT):
        assert (README.parent / target).exists(), target


def test_make_targets_exist():
    makefile = (README.parent / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", TEXT, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
