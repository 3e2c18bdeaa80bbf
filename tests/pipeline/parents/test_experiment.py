"""The experiment `parents` on a model behind a loopback server, from its YAML to its page."""

import pytest

from interp_rc.evaluation.parents.prompts import questions
from interp_rc.facts.parents import parents
from interp_rc.pipeline.config import load_config
from interp_rc.pipeline.run import execute
from interp_rc.records.errors import ConfigError, ModelError
from interp_rc.records.packaged import packaged
from interp_rc.records.reading import read_text
from tests.models.server import serving

EXPERIMENT = packaged("experiments") / "parents.yaml"
SECRET = "sk-very-secret-parents"


def configured(listed, url, *more):
    return load_config(
        EXPERIMENT,
        [
            f"facts.path={listed}",
            f"model={{kind: endpoint, url: '{url}', model: made-up, concurrency: 1}}",
            "measures=[{kind: parents, wordings: [who, name], samples: 2}]",
            "machine.threads=1",
            *more,
        ],
    )


@pytest.fixture
def listed(tmp_path):
    path = tmp_path / "pairs.csv"
    pairs = [("Ann", "May", "mother"), ("Ann", "Roy", "father"), ("Ben", "Sue", "mother")]
    rows = [f"{child} Hill,{parent} Hill,{kind}" for child, parent, kind in pairs]
    path.write_text("\n".join(["child,parent,parent_type", *rows]) + "\n", encoding="utf-8")
    return path


def test_run_interrupted_and_resumed(listed, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    known = {q.asked: q for q in questions(parents(listed).facts, ["who", "name"])}
    refuse = {"now": True}

    def answers(text):
        question = known[text]
        return question.name if question.order == "forward" else "I don't know."

    def fault(text, time):
        return "403" if refuse["now"] and text.startswith("Name") else None

    with serving(fault, answers=answers) as server:
        config = configured(listed, server.url)
        with pytest.raises(ModelError, match="refuses to answer"):
            execute(config, tmp_path / "run", say=lambda _: None)
        assert sum(server.answered.values()) == 6 * 3
        refuse["now"] = False
        run = execute(config, tmp_path / "run", resume=True, say=lambda _: None)
        assert set(server.answered.values()) == {3}  # greedy and two samples, each once
        assert len(server.answered) == 12
    found = run.results()
    assert found["parents.pooled.share.same_person.forward"].value == 1
    assert found["parents.pooled.share.same_person.backward"].value == 0
    assert found["parents.pooled.unknown.backward"].value == 1
    page = read_text(run.report_file)
    assert "Asked about the child, the model names the parent in 100.0" in page
    for path in run.folder.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path


def test_what_needs_weights_is_refused_before_anything_is_asked(listed):
    with pytest.raises(ConfigError, match="measure `behaviour` needs a model that is loaded here"):
        configured(listed, "http://127.0.0.1:1/v1", "measures=[{kind: behaviour}]")
