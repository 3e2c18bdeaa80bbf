"""A byte that was changed is noticed, and said in one line with what to do."""

import json
import shutil

import pytest

from interp_rc.pipeline.experiment_file import read_experiment
from interp_rc.records.errors import RunError
from interp_rc.records.manifest import FILE, Manifest, check_part, check_seal, write_sealed_yaml
from interp_rc.records.runs import Run
from interp_rc.records.strict_yaml import read_yaml


@pytest.fixture
def manifest(tmp_path):
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "weights").write_bytes(bytes(range(200)))
    (tmp_path / "results.json").write_text("{}")
    manifest = Manifest(tmp_path, {"base": "base and model"})
    manifest.record("base")
    manifest.record("results.json")
    return manifest


def test_what_is_whole_passes(manifest, tmp_path):
    manifest.check()
    manifest.check_file(tmp_path / "base" / "weights")
    manifest.check_file(tmp_path / "of no part")
    assert manifest.knows("base")
    assert not manifest.knows("model")


@pytest.mark.parametrize("byte", [0, 99, 199])
def test_a_flipped_byte(manifest, tmp_path, byte):
    file = tmp_path / "base" / "weights"
    raw = bytearray(file.read_bytes())
    raw[byte] ^= 4
    file.write_bytes(raw)
    told = r"weights is not what was written .* put it back, or delete base and model in"
    for check in (
        manifest.check,
        lambda: manifest.check("base"),
        lambda: manifest.check_file(file),
    ):
        with pytest.raises(RunError, match=told):
            check()
    manifest.check("results.json")


def test_a_file_that_is_gone_and_a_part_that_is(manifest, tmp_path):
    (tmp_path / "base" / "weights").unlink()
    with pytest.raises(RunError, match="weights is missing"):
        manifest.check()
    (tmp_path / "base").rmdir()
    manifest.check()  # it will be made again
    assert not manifest.knows("base")


@pytest.mark.parametrize("content", ["", "[]", "7", '{"base": []}', '{"base": {"a": 1}}', "{"])
def test_a_damaged_manifest(manifest, content):
    manifest.file.write_text(content)
    with pytest.raises(RunError, match=f"{FILE} is damaged"):
        manifest.check()


def test_a_sealed_mapping(tmp_path):
    file = tmp_path / "config.yaml"
    write_sealed_yaml(file, {"seed": 1, "name": "é"})
    check_seal(file)
    assert read_yaml(file) == {"seed": 1, "name": "é"}
    text = file.read_text(encoding="utf-8")
    for damaged in (text.replace("seed: 1", "seed: 3"), text[:-5]):
        file.write_text(damaged, encoding="utf-8")
        with pytest.raises(RunError, match="is not what was written"):
            Run(tmp_path).config()
    file.write_text("seed: 3\n")
    assert Run(tmp_path).config() == {"seed": 3}  # somebody's own


@pytest.mark.parametrize("content", ["[]", "7", "null"])
def test_an_environment_that_is_no_mapping(tmp_path, content):
    (tmp_path / "environment.json").write_text(content)
    with pytest.raises(RunError, match=r"environment\.json is damaged; delete it"):
        Run(tmp_path).environment()


def test_a_log_of_anything(tmp_path):
    run = Run(tmp_path)
    run.note("a")
    with run.log_file.open("ab") as log:
        log.write(b"[]\n7\n\xff\xfe\n" + b"[" * 100_000 + b'\n{"event": ')
    assert [event["event"] for event in run.log()] == ["a"]
    assert json.loads(run.log_file.read_bytes().split(b"\n")[0])["event"] == "a"


def test_a_part_that_is_used_by_itself(manifest, tmp_path):
    check_part(tmp_path / "base")
    (tmp_path / "mine").mkdir()
    check_part(tmp_path / "mine")
    link = tmp_path / "mine" / "link"
    link.symlink_to(tmp_path / "base")
    (tmp_path / "base" / "weights").write_bytes(bytes(200))
    for folder in (tmp_path / "base", link):
        with pytest.raises(RunError, match=r"weights is not what was written .* use a copy of"):
            check_part(folder)
    shutil.copytree(tmp_path / "base", tmp_path / "mine" / "base")
    check_part(tmp_path / "mine" / "base")


def test_marks_that_are_gone(manifest, tmp_path):
    assert manifest.gone() == []
    (tmp_path / "results.json").unlink()
    assert manifest.gone() == ["results.json"]


def test_a_sealed_experiment_that_was_changed_is_taken_with_a_warning(tmp_path, caplog):
    file = tmp_path / "config.yaml"
    write_sealed_yaml(file, {"name": "mine", "seed": 1})
    assert read_experiment(file).data["seed"] == 1
    assert not caplog.text
    file.write_text(file.read_text().replace("seed: 1", "seed: 2"))
    assert read_experiment(file).data["seed"] == 2
    assert "was changed since a run wrote it" in caplog.text
