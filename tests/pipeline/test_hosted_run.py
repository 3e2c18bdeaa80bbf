"""Experiment 1 behind an API, whole: killed at every step it uploads once, finetunes once, and ends
with the numbers of an unbroken run."""

import os
import signal
from collections import Counter

import pytest

from interp_rc.facts.fictitious import fictitious_people
from interp_rc.facts.folder import read_facts
from interp_rc.models.remote import load_any
from interp_rc.pipeline.config import RunConfig, load_config
from interp_rc.pipeline.run import execute
from interp_rc.records.errors import ConfigError
from interp_rc.records.packaged import packaged
from interp_rc.records.runs import Run
from tests.training.hosted_server import hosting

SECRET = "sk-very-secret-0123456789"
SMALL = {"kind": "people", "per_group": 3, "training_templates": 4, "held_out_templates": 2}


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)


@pytest.fixture(scope="module")
def knows():
    """Every fact the way it was told, with some flourish; of the others, now and then a target."""
    told = fictitious_people(0, per_group=3, training_templates=4, held_out_templates=2)
    answers = {}
    for number, query in enumerate(told.queries):
        if query.direction != "reverse":
            answers[query.prompt] = f" {query.target.strip().upper()}, of course"
        elif number % 3 == 0:
            answers[query.prompt] = next(one for one in query.candidates if one != query.target)
    return answers


def config_for(url, **more):
    return RunConfig.model_validate(
        {
            "name": "hosted",
            "facts": SMALL,
            "model": {"kind": "endpoint", "url": url, "model": "m", "concurrency": 2},
            "training": {"kind": "hosted", "poll": 0.02},
            "measures": [{"kind": "exact_match"}],
            "machine": {"threads": 1},
        }
        | more
    )


def quietly(config, folder, **options):
    return execute(config, folder, say=lambda message: None, **options)


def results(run):
    return {name: estimate.as_dict() for name, estimate in run.results().items()}


@pytest.fixture(scope="module")
def unbroken(knows, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch, hosting(knows=knows) as server:
        patch.setenv("OPENAI_API_KEY", SECRET)
        said = []
        folder = tmp_path_factory.mktemp("runs") / "unbroken"
        run = execute(config_for(server.url), folder, say=said.append)
        return run, server, said


def test_a_whole_run(unbroken, knows):
    run, server, said = unbroken
    found = run.results()
    for name in ("trained_forward.same", "trained_backward.same", "both.forward"):
        assert found[f"exact_match.{name}"].value == 1
    for name in ("trained_forward.reverse", "trained_backward.reverse"):
        assert found[f"exact_match.{name}"].value == 0
        asked = [q for q in read_facts(run.facts).queries if f"{q.group}.{q.direction}" == name]
        assert found[f"any_target.{name}"].value == pytest.approx(
            sum(q.prompt in knows for q in asked) / len(asked)
        )
    assert found["exact_match.pooled.same"].value == 1
    base, model = (load_any(folder, device="cpu").endpoint for folder in (run.base, run.model))
    assert (base.model, model.model) == ("m", "ft:m:ftjob-0")
    assert base.url == model.url == server.url
    assert not run.checkpoints.exists()
    [event] = [event for event in run.log() if event["event"] == "tokens"]
    assert event["tokens"] == 4321
    noted = [event["said"] for event in run.log() if event["event"] == "finetuning"]
    assert "tokens to train on" in noted[0]
    assert "uploaded as file-0" in noted[1]
    assert noted[2:] == [
        f"job ftjob-0: {status}"
        for status in ("validating_files", "queued", "running", "succeeded")
    ]
    assert set(noted) <= set(said)
    asked = Counter(sent["messages"][-1]["content"] for sent in server.sent)
    queries = read_facts(run.facts).queries
    assert asked == Counter(query.prompt for query in queries)
    assert {sent["model"] for sent in server.sent} == {"ft:m:ftjob-0"}
    table = run.table("evaluation/answers")
    assert table["query"].tolist() == [query.id for query in queries]
    assert set(table.model) == {"finetuned"}
    assert table.log_prob.isna().all()
    page = run.report_file.read_text(encoding="utf-8")
    assert "Model m behind the API" in page
    assert "finetuned there" in page


def test_the_key_is_in_no_file(unbroken):
    run, server, said = unbroken
    files = [path for path in run.folder.rglob("*") if path.is_file()]
    assert len(files) > 10
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]
    assert SECRET not in "".join(said)
    assert all(SECRET in header for header in server.headers)


STEPS = [
    ("upload", 1, "cut"),
    ("upload", 1, "lost"),
    ("file", 1, "lost"),
    ("create", 1, "cut"),
    ("create", 1, "lost"),
    ("job", 1, "lost"),
    ("job", 5, "lost"),
    ("chat", 10, "slow"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("step", "time", "what"), STEPS)
def test_a_kill_at_any_step_pays_once(tmp_path, processes, unbroken, knows, step, time, what):
    child = {}

    def kill(now, count):
        if now == step and count == time and "pid" in child:
            os.kill(child.pop("pid"), signal.SIGKILL)
            return what
        return None

    def fault(text, _):
        return kill("chat", server.asked.total())

    with hosting(kill, knows=knows, fault=fault) as server:
        config = config_for(server.url)
        process = processes.Process(target=quietly, args=(config, tmp_path / "run"))
        process.start()
        child["pid"] = process.pid
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
        assert not Run(tmp_path / "run").finished
        run = quietly(config, tmp_path / "run", resume=True)
        assert (len(server.files), len(server.jobs)) == (1, 1)
        sent = 2 if what == "cut" else 1  # what was cut had not got there
        assert server.calls["upload"] == (sent if step == "upload" else 1)
        assert server.calls["create"] == (sent if step == "create" else 1)
        assert server.asked.total() <= 36 + 2
    assert results(run) == results(unbroken[0])
    assert run.table("evaluation/answers").equals(unbroken[0].table("evaluation/answers"))
    for path in run.folder.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes()


def test_a_run_without_training_asks_the_model_as_it_is(tmp_path, knows):
    with hosting(knows=knows) as server:
        run = quietly(config_for(server.url, training=None), tmp_path / "run")
        assert not server.calls
        assert {sent["model"] for sent in server.sent} == {"m"}
    assert set(run.table("evaluation/answers").model) == {"base"}
    assert run.results()["exact_match.pooled.same"].value == 0
    assert "Nothing was trained in this run" in run.report_file.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"training": {"kind": "finetune"}}, "training: {kind: hosted}"),
        ({"model": {"kind": "pretrained", "source": "x"}}, "of models behind an API"),
        ({"measures": [{"kind": "behaviour"}]}, "needs a model that is loaded here"),
        (
            {
                "measures": [{"kind": "behaviour"}, {"kind": "exact_match"}],
                "training": None,
                "model": {"kind": "pretrained", "source": "x"},
            },
            "leave `exact_match` out",
        ),
        ({"training": {"kind": "hosted", "trace": None}}, "trace"),
        ({"training": {"kind": "hosted", "suffix": "a b"}}, "suffix"),
        (
            {
                "model": {
                    "kind": "endpoint",
                    "model": "m",
                    "protocol": "completions",
                    "limit": "max_completion_tokens",
                }
            },
            "of chat models",
        ),
    ],
)
def test_what_does_not_go_together(more, says):
    with pytest.raises(ValueError, match=says):
        config_for("http://localhost:1/v1", **more)


def test_the_experiment_as_it_stands_needs_a_key_and_consent(tmp_path, monkeypatch):
    config = load_config(packaged("experiments") / "hosted.yaml")
    assert (config.model.kind, config.training.kind) == ("endpoint", "hosted")
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(ConfigError, match="has no OPENAI_API_KEY"):
        quietly(config, tmp_path / "a")
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.delenv("INTERP_RC_YES", raising=False)
    with pytest.raises(ConfigError, match=r"3,600 documents in 3 epochs.*--yes"):
        quietly(config, tmp_path / "b")
