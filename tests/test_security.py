"""One test for each promise of SECURITY.md."""

import ast
import json
import re
from pathlib import Path

import pytest
import torch
import yaml
from typer.testing import CliRunner

from interp_rc.cli import app
from interp_rc.models.load import load
from interp_rc.pipeline.config import load_config
from interp_rc.pipeline.yaml_source import read_source
from interp_rc.records.errors import ConfigError, ModelError
from tests.models.server import serving

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = sorted((ROOT / "interp_rc").rglob("*.py"))
EXPERIMENT = ROOT / "experiments" / "descriptions.yaml"


def test_every_promise_is_numbered_and_tested():
    promises = re.findall(r"^(\d)\. ", (ROOT / "SECURITY.md").read_text(), re.MULTILINE)
    tests = re.findall(r"^def test_promise_(\d)_", Path(__file__).read_text(), re.MULTILINE)
    assert sorted(set(tests)) == promises


def test_promise_1_other_weight_formats_are_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    torch.save({"x": torch.zeros(1)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"no \*\.safetensors weights"):
        load(tmp_path)


def test_promise_1_a_run_writes_safetensors_only(smoke_run):
    suffixes = {p.suffix for p in smoke_run.folder.rglob("*") if p.is_file()}
    assert ".safetensors" in suffixes
    assert not suffixes & {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"}


def test_promise_2_code_of_a_model_is_not_run(tmp_path, smoke_run):
    for file in smoke_run.model.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"model_type": "evil", "auto_map": {"AutoModelForCausalLM": "evil.Evil"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "evil.py").write_text("from pathlib import Path\nPath(__file__ + '.ran').touch()\n")
    with pytest.raises(ModelError):
        load(tmp_path)
    assert not (tmp_path / "evil.py.ran").exists()


def test_promise_2_trust_remote_code_is_never_on():
    for file in PACKAGE:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "trust_remote_code":
                assert isinstance(node.value, ast.Constant)
                assert node.value.value is False, file
    assert "trust_remote_code" in (ROOT / "interp_rc" / "models" / "load.py").read_text()


UNSAFE_MODULES = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
UNSAFE_CALLS = {"eval", "exec", "torch.load", "yaml.load", "os.system", "np.load", "pd.read_pickle"}


def unsafe_uses(source: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.split(".")[0] in UNSAFE_MODULES]
        elif (
            isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in UNSAFE_MODULES
        ):
            found.append(str(node.module))
        elif isinstance(node, ast.Call):
            if ast.unparse(node.func) in UNSAFE_CALLS:
                found.append(ast.unparse(node.func))
            if any(k.arg == "shell" and ast.unparse(k.value) != "False" for k in node.keywords):
                found.append("shell")
    return found


def test_promise_3_nothing_of_ours_unpickles():
    assert unsafe_uses("import pickle\ntorch.load(x)\nrun(x, shell=True)") == [
        "pickle",
        "torch.load",
        "shell",
    ]
    assert {file.name: uses for file in PACKAGE if (uses := unsafe_uses(file.read_text()))} == {}


def test_promise_3_trainer_reads_its_checkpoints_with_weights_only(
    monkeypatch, tmp_path, smoke_run
):
    """A resumed training calls torch.load with weights_only=True, on the run's own files only."""
    from interp_rc.facts.folder import read_facts
    from interp_rc.models.machine import Machine
    from interp_rc.training.options import TrainingOptions
    from interp_rc.training.train import train

    documents = read_facts(smoke_run.facts).documents[:32]
    options = TrainingOptions(epochs=2, batch_size=8, checkpoint_steps=4)
    machine, folder = Machine("cpu", False, 1), tmp_path / "checkpoints"

    class StopError(Exception):
        pass

    def stop(step: int, steps: int, loss: float | None) -> None:
        if step == 6:
            raise StopError

    with pytest.raises(StopError):
        train(load(smoke_run.base), documents, options, machine=machine, seed=0,
              checkpoints=folder, report=stop)  # fmt: skip
    calls = []
    original = torch.load

    def watched(file, *args, **kwargs):
        calls.append((Path(file), kwargs.get("weights_only")))
        return original(file, *args, **kwargs)

    monkeypatch.setattr(torch, "load", watched)
    train(load(smoke_run.base), documents, options, machine=machine, seed=0, checkpoints=folder)
    assert calls
    assert all(weights_only is True for _, weights_only in calls)
    assert all(file.is_relative_to(folder) for file, _ in calls)


def test_promise_4_yaml_tags_build_nothing(tmp_path):
    tag = "!!python/object/apply:os.mkdir [%s]" % (tmp_path / "made")
    file = tmp_path / "x.yaml"
    file.write_text(f"name: {tag}\n")
    with pytest.raises(ConfigError, match=r"x\.yaml:1"):
        read_source(file)
    with pytest.raises(ConfigError):
        load_config(EXPERIMENT, [f"name={tag}"])
    with pytest.raises(yaml.YAMLError):
        yaml.safe_load(tag)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("name", ["../x", "/x", "a/b", "..", ".", "a\\b", "", "x" * 81])
def test_promise_5_names_cannot_leave_the_folder(name):
    with pytest.raises(ConfigError, match="name"):
        load_config(EXPERIMENT, [f"name={json.dumps(name)}"])


@pytest.mark.slow
def test_promise_5_a_run_writes_below_its_folder_only(tmp_path, monkeypatch):
    from interp_rc.pipeline.run import execute

    monkeypatch.chdir(tmp_path)
    out = tmp_path / "inside" / "run"
    execute(load_config(EXPERIMENT, ["seed=1"], smoke=True), out, say=lambda message: None)
    assert [p.name for p in tmp_path.iterdir()] == ["inside"]
    assert [p.name for p in out.parent.iterdir()] == ["run"]


def test_promise_6_the_report_is_inert(smoke_run):
    page = smoke_run.report_file.read_text(encoding="utf-8")
    assert "default-src 'none'" in page
    assert not re.search(
        r"<script|javascript:|\son\w+=|<iframe|<object|<embed", page, re.IGNORECASE
    )
    loaded = re.findall(r"(?:src|srcset|href)=\"([^\"]*)\"", page)
    assert loaded
    assert all(link.startswith(("data:", "#")) for link in loaded)


@pytest.mark.slow
def test_promise_6_hostile_data_are_escaped(tmp_path, smoke_run):
    import shutil

    from interp_rc.records.runs import Run
    from interp_rc.report.page import write_report

    hostile = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
    shutil.copytree(smoke_run.folder, tmp_path / "run")
    run = Run(tmp_path / "run")
    answers = run.table("evaluation/answers")
    for column in ("prompt", "target", "text"):
        answers[column] = hostile
    answers.to_parquet(run.evaluation / "answers.parquet", index=False)
    run.manifest.record("measured/behaviour.json", run.evaluation / "answers.parquet")
    write_report(run)
    page = run.report_file.read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)" in page
    assert "<script" not in page
    assert "<img src=x" not in page


def test_promise_7_a_changed_cache_file_is_noticed(tmp_path):
    from interp_rc.training.base import is_whole, write_manifest

    (tmp_path / "model.safetensors").write_bytes(b"weights")
    write_manifest(tmp_path)
    assert is_whole(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"weightz")
    assert not is_whole(tmp_path)


@pytest.mark.slow
def test_promise_8_a_run_against_an_api_leaves_its_key_nowhere(
    tmp_path, monkeypatch, capfd, caplog
):
    """A whole run by command against a server that repeats the key in its first errors."""
    key = "sk-very-secret-0123456789"
    monkeypatch.setenv("OPENAI_API_KEY", key)
    caplog.set_level("DEBUG")
    pairs = tmp_path / "pairs.csv"
    pairs.write_text(
        "child,parent,parent_type\nAnn Owl,Bea Owl,mother\nCid Elk,Dan Elk,father\n",
        encoding="utf-8",
    )
    with serving(lambda text, time: "500" if time == 1 else None) as server:
        asked = [
            f"model={{kind: endpoint, url: '{server.url}', model: m}}",
            f"facts.path={pairs}",
            "measures=[{kind: parents, wordings: [who], samples: 1}]",
        ]
        sets = [word for one in asked for word in ("--set", one)]
        out = str(tmp_path / "run")
        done = CliRunner().invoke(app, ["run", "parents", *sets, "--out", out])
        assert done.exit_code == 0, done.output
        assert any(key in header for header in server.headers)
    said = done.output + caplog.text + "".join(capfd.readouterr())
    assert key not in said
    for file in (tmp_path / "run").rglob("*"):
        assert not file.is_file() or key.encode() not in file.read_bytes(), file


def test_promise_8_nothing_is_sent_before_it_is_confirmed(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.delenv("INTERP_RC_YES", raising=False)
    sets = ["--set", "model={kind: endpoint, url: 'https://192.0.2.1/v1', model: m}"]
    with pytest.raises(ConfigError, match="--yes"):
        CliRunner().invoke(
            app,
            ["run", "parents", *sets, "--out", str(tmp_path / "run")],
            catch_exceptions=False,
        )
