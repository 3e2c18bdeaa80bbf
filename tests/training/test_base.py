"""The cache of base models: built once, whole, and by one process."""

import json
import pickle
import signal
import textwrap
import time
from dataclasses import replace

import pytest
import torch

from interp_rc.models.build import Size
from interp_rc.models.machine import Machine
from interp_rc.training.base import (
    MANIFEST,
    Recipe,
    cache_folder,
    content_hash,
    embedded_base,
    is_whole,
    write_manifest,
)
from interp_rc.training.options import TrainingOptions

CPU = Machine("cpu", bf16=False, threads=1)
TRAINING = TrainingOptions(epochs=2, batch_size=4, checkpoint_steps=3)
RECIPE = Recipe(Size(layers=1, width=16, heads=2), vocabulary=300, training=TRAINING)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("INTERP_RC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def documents(told):
    return told.documents[:24]  # twelve steps


def build(documents, seed=0, report=lambda *_: None):
    return embedded_base(RECIPE, documents, machine=CPU, seed=seed, report=report)


def same(first, second):
    first, second = first.model.state_dict(), second.model.state_dict()
    return all(torch.equal(weights, second[name]) for name, weights in first.items())


@pytest.fixture
def entry(cache, documents):
    return cache / "base" / content_hash(RECIPE, documents, CPU, 0)


def test_the_second_call_finds_what_the_first_built(documents, entry):
    steps = []
    built, found_before = build(documents, report=lambda step, *_: steps.append(step))
    again, found = build(documents, report=lambda *_: pytest.fail("trained again"))
    assert (found_before, found) == (False, True)
    assert steps == list(range(1, 13))
    assert same(again, built)
    assert sorted(path.name for path in entry.parent.iterdir()) == [
        entry.name,
        f"{entry.name}.lock",
    ]
    assert not built.model.training


def test_the_manifest_names_every_file(documents, entry):
    build(documents)
    manifest = json.loads((entry / MANIFEST).read_text())
    assert {*manifest, MANIFEST} == {path.name for path in entry.iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= manifest.keys()


@pytest.mark.parametrize(
    "damage",
    [
        lambda entry: (entry / "model.safetensors").write_bytes(b"weights"),
        lambda entry: (entry / "config.json").write_text("{}"),
        lambda entry: (entry / "tokenizer.json").unlink(),
        lambda entry: (entry / MANIFEST).unlink(),
        lambda entry: (entry / MANIFEST).write_text("{"),
        lambda entry: (entry / MANIFEST).write_text("{}"),
        lambda entry: (entry / MANIFEST).write_text("[1]"),
    ],
)
def test_damage_is_detected(documents, entry, damage):
    entry.mkdir(parents=True)
    for name in ("model.safetensors", "config.json", "tokenizer.json"):
        (entry / name).write_text(name)
    write_manifest(entry)
    assert is_whole(entry)
    damage(entry)
    assert not is_whole(entry)


def test_a_damaged_entry_is_built_again_to_the_same_weights(documents, entry, caplog):
    built, _ = build(documents)
    file = entry / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-9] ^= 1  # one bit of one weight
    file.unlink()  # a new file, since the old one is mapped into memory
    file.write_bytes(content)
    again, found = build(documents)
    assert not found
    assert "is damaged and is built again" in caplog.text
    assert same(again, built)
    assert is_whole(entry)


def test_all_that_the_weights_depend_on_is_in_the_name(documents):
    text = documents[0].text
    hashes = [
        content_hash(RECIPE, documents, CPU, 0),
        content_hash(RECIPE, documents, CPU, 1),
        content_hash(RECIPE._replace(size=Size(layers=2, width=16, heads=2)), documents, CPU, 0),
        content_hash(RECIPE._replace(vocabulary=301), documents, CPU, 0),
        content_hash(
            RECIPE._replace(training=TRAINING.model_copy(update={"epochs": 3})), documents, CPU, 0
        ),
        content_hash(RECIPE, documents, replace(CPU, bf16=True), 0),
        content_hash(RECIPE, documents, replace(CPU, device="cuda"), 0),
        content_hash(RECIPE, documents[1:], CPU, 0),
        content_hash(RECIPE, documents[::-1], CPU, 0),
        content_hash(RECIPE, [replace(documents[0], text=text + "."), *documents[1:]], CPU, 0),
    ]
    assert len(set(hashes)) == len(hashes)
    assert content_hash(RECIPE, list(documents), replace(CPU), 0) == hashes[0]


def test_threads_count_only_where_they_share_an_operation(documents):
    """A batch of a small model is one thread's work: one process or two find the same base."""
    two = replace(CPU, threads=2)
    assert content_hash(RECIPE, documents, CPU, 0) == content_hash(RECIPE, documents, two, 0)
    large = RECIPE._replace(size=Size(layers=8, width=256))
    assert content_hash(large, documents, CPU, 0) != content_hash(large, documents, two, 0)


def test_another_seed_is_another_model(documents):
    one, two = (build(documents, seed)[0] for seed in (0, 1))
    assert not same(one, two)


def test_the_cache_is_where_the_user_says(monkeypatch, tmp_path):
    monkeypatch.setenv("INTERP_RC_CACHE", "~/elsewhere")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "elsewhere"
    monkeypatch.delenv("INTERP_RC_CACHE")
    assert cache_folder().name == "interp-rc"


# Run in processes of their own. `die_at` kills without a word; `hold` keeps building until the
# other process says that it waits.
CHILD = textwrap.dedent(
    """
    import json, os, pickle, signal, time
    from pathlib import Path

    os.environ["INTERP_RC_CACHE"] = cache
    from interp_rc.training.base import embedded_base
    import torch

    torch.set_num_threads(1)
    recipe, documents, machine = pickle.loads(what)
    note = Path(note)
    steps = []

    def report(step, count, loss):
        steps.append(step)
        if step == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if hold:
            note.with_suffix(".building").touch()
            deadline = time.monotonic() + 60
            while not Path(hold).exists() and time.monotonic() < deadline:
                time.sleep(0.01)

    loaded, cached = embedded_base(
        recipe, documents, machine=machine, seed=0, report=report,
        waiting=lambda: note.with_suffix(".waiting").touch(),
    )
    total = sum(float(weights.double().sum()) for weights in loaded.model.state_dict().values())
    note.write_text(json.dumps({"cached": cached, "steps": steps, "total": total}))
    """
)


@pytest.fixture
def child(processes, documents, cache, tmp_path):
    def start(name, die_at=None, hold=None):
        given = {
            "what": pickle.dumps((RECIPE, documents, CPU)),
            "cache": str(cache),
            "note": str(tmp_path / name),
            "die_at": die_at,
            "hold": hold,
        }
        process = processes.Process(target=exec, args=(CHILD, given))
        process.start()
        return process

    return start


def wait_for(path, seconds=60):
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} did not come"
        time.sleep(0.01)


@pytest.mark.slow
def test_two_processes_build_it_once(child, tmp_path):
    first = child("first", hold=str(tmp_path / "second.waiting"))
    wait_for(tmp_path / "first.building")
    second = child("second")
    for process in (first, second):
        process.join(120)
        assert process.exitcode == 0
    built, waited = (json.loads((tmp_path / name).read_text()) for name in ("first", "second"))
    assert (tmp_path / "second.waiting").exists()
    assert built["steps"] == list(range(1, 13))
    assert (built["cached"], waited["cached"], waited["steps"]) == (False, True, [])
    assert built["total"] == waited["total"]


@pytest.mark.slow
def test_a_killed_build_continues(child, documents, tmp_path, entry, cache, monkeypatch):
    killed = child("killed", die_at=8)
    killed.join(120)
    assert killed.exitcode == -signal.SIGKILL
    assert not entry.exists()
    steps = []
    continued, found = build(documents, report=lambda step, *_: steps.append(step))
    assert not found
    assert steps == list(range(7, 13))
    assert not entry.with_suffix(".building").exists()
    monkeypatch.setenv("INTERP_RC_CACHE", str(tmp_path / "another cache"))
    assert same(continued, build(documents)[0])
