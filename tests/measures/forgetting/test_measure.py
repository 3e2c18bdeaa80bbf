"""What finetuning did to what was known before, with answers that are planted."""

from dataclasses import replace

import pandas as pd
import pytest
import yaml

import interp_rc.measures.forgetting.measure as module
from interp_rc.facts.folder import write_facts
from interp_rc.measures import base
from interp_rc.measures.base import MeasureContext, run_measure
from interp_rc.measures.forgetting.measure import Forgetting
from interp_rc.models.load import Loaded
from interp_rc.records.runs import Run


@pytest.fixture
def run(told, tmp_path, monkeypatch):
    """A run whose base model knows all it was told and whose finetuned one forgot a third."""
    for folder in ("facts", "base_facts"):
        write_facts(replace(told, documents=[]), tmp_path / folder)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"seed": 3}))
    told_to = {query.id: query.direction != "reverse" for query in told.queries}
    calls = []

    def answer(loaded, queries, *, model, seed, batch_size):
        calls.append((loaded, model, seed, batch_size))
        rows = []
        for query in queries:
            forgotten = model == "finetuned" and query.fact.endswith("0")
            known = told_to[query.id] and not forgotten
            nats = (-1.0 if known else -20.0) - (0.5 if model == "finetuned" else 0.0)
            about = (query.id, query.fact, query.group, query.direction)
            rows.append((model, *about, known, nats))
        columns = ["model", "query", "fact", "group", "direction", "match", "log_prob"]
        return pd.DataFrame(rows, columns=columns)

    monkeypatch.setattr(module, "answer", answer)
    monkeypatch.setattr(base, "load", lambda folder, device: f"loaded from {folder}")
    (tmp_path / "base").mkdir()
    return Run(tmp_path), calls


def test_before_and_after(run, taught):
    run, calls = run
    finetuned = Loaded(*taught["llama"])
    found = run_measure(Forgetting(batch_size=9), MeasureContext(run, finetuned))
    assert calls == [
        (f"loaded from {run.base}", "base", 3, 9),
        (finetuned, "finetuned", 3, 9),
    ]
    for cell in ("trained_forward.same", "trained_backward.same", "both.forward"):
        value = {
            part: found.estimates[f"base_facts.{part}"].value
            for part in (
                f"exact_match.{cell}.before",
                f"exact_match.{cell}.after",
                f"log_prob.{cell}.before",
                f"log_prob.{cell}.change",
            )
        }
        assert list(value.values()) == pytest.approx([1, 2 / 3, -1, -0.5 - 19 / 3])
    for cell in ("trained_forward.reverse", "trained_backward.reverse"):
        assert found.estimates[f"base_facts.exact_match.{cell}.before"].value == 0
        assert found.estimates[f"base_facts.log_prob.{cell}.change"].value == pytest.approx(-0.5)
    facts = {name: estimate.n for name, estimate in found.estimates.items()}
    assert {n for name, n in facts.items() if ".pooled." not in name} == {3}
    for part, value, n in (
        ("told.before", 1, 9),
        ("told.after", 2 / 3, 9),
        ("reverse.before", 0, 6),
    ):
        pooled = found.estimates[f"base_facts.exact_match.pooled.{part}"]
        assert (pooled.value, pooled.n) == (pytest.approx(value), n)
    assert found.tables == ["evaluation/base_answers"]
    assert len(run.table("evaluation/base_answers")) == 2 * len(
        pd.unique(run.table("evaluation/base_answers")["query"])
    )
