"""The paper's tests over facts: by hand, and on planted differences."""

import numpy as np
import pandas as pd
import pytest

from analysis.old_names import read_table
from analysis.paper.fact_tests import CELLS, collect_fact_tests, fact_tests, one_other
from interp_rc.facts.fictitious import fictitious_people
from interp_rc.facts.folder import write_facts
from interp_rc.measures.base import CANDIDATES
from interp_rc.records.errors import RunError
from interp_rc.records.files import write_json, write_parquet, write_yaml
from interp_rc.records.runs import Run
from interp_rc.records.strict_json import read_json

FACTS = fictitious_people(0, per_group=12, training_templates=3, held_out_templates=2)


def made(folder, seed, lift=0.0):
    """A finished run whose scores are noise, the right candidate's higher by `lift` nats."""
    run, rng = Run(folder), np.random.default_rng(seed)
    write_facts(FACTS, run.facts)
    rows = [
        (model, q.id, c, c == q.target, rng.normal() + lift * (c == q.target), 0.0)
        for model in ("base", "finetuned")
        for q in FACTS.queries
        for c in q.candidates
    ]
    columns = ["model", "query", "candidate", "correct", "log_prob", "log_prob_neutral"]
    write_parquet(run.folder / f"{CANDIDATES}.parquet", pd.DataFrame(rows, columns=columns))
    write_yaml(run.config_file, {"seed": seed})
    write_json(run.environment_file, {"seed": seed, "python": "3.11"})
    write_json(run.results_file, {})
    return run


def test_the_other_candidate_is_never_the_right_one_and_any_of_the_rest():
    scores = np.broadcast_to(np.arange(6.0), (6, 3, 6))
    drawn = np.array([one_other(scores, seed) for seed in range(200)])
    assert (drawn != np.arange(6)).all()
    for fact in range(6):
        assert set(drawn[:, fact]) == set(range(6)) - {fact}


def test_statistics_equal_those_by_hand(tmp_path):
    run = made(tmp_path / "seed3", 3)
    table = run.table(CANDIDATES)
    table = table[table.model == "finetuned"].set_index(["query", "candidate"]).log_prob
    row = fact_tests(run).set_index("cell").loc[CELLS[0]]
    asked = [q for q in FACTS.queries
             if q.group == "trained_forward" and q.direction == "reverse"]  # fmt: skip
    facts = list(dict.fromkeys(q.fact for q in asked))
    right = [np.mean([table[q.id, q.target] for q in asked if q.fact == f]) for f in facts]
    assert row.n == len(facts) == 12
    assert row.correct == pytest.approx(np.mean(right))
    targets = {q.fact: q.target for q in asked}
    options = [[np.mean([table[q.id, targets[o]] for q in asked if q.fact == f])
                for o in facts if o != f] for f in facts]  # fmt: skip
    assert min(map(min, options)) <= row.random <= max(map(max, options))


def test_t_and_d_from_loops(tmp_path, monkeypatch):
    """With the other candidate's scores known, both statistics are those of plain loops."""
    right, other = np.random.default_rng(1).normal(size=(2, 20))
    monkeypatch.setattr("analysis.paper.fact_tests.candidate_scores", lambda *_: right)
    monkeypatch.setattr("analysis.paper.fact_tests.correct", lambda scores: right)
    monkeypatch.setattr("analysis.paper.fact_tests.one_other", lambda *_: other)
    row = fact_tests(made(tmp_path / "seed0", 0)).iloc[0]
    d = right - other
    assert row.t == pytest.approx(d.mean() / (d.std(ddof=1) / np.sqrt(20)))
    gaps = [abs((right <= x).mean() - (other <= x).mean()) for x in [*right, *other]]
    assert row.ks == pytest.approx(max(gaps))


def test_a_planted_difference_is_found_and_noise_seldom(tmp_path):
    for seed in range(4):
        made(tmp_path / "noise" / f"seed{seed}", seed)
        made(tmp_path / "planted" / f"seed{seed}", seed, lift=3.0)
    found = {}
    for kind in ("noise", "planted"):
        collect_fact_tests(tmp_path / kind, tmp_path)
        found[kind] = read_table(tmp_path / "descriptions_fact_tests.csv")
        assert sorted(found[kind].seed) == sorted([0, 1, 2, 3] * 2)
        environment = read_json(tmp_path / "descriptions_fact_tests.environment.json")
        assert environment["runs"] == [{"python": "3.11"}]
    assert (found["planted"][["t_p", "ks_p"]] < 0.01).all().all()
    assert (found["planted"].correct > found["planted"].random + 2).all()
    assert (found["noise"][["t_p", "ks_p"]] < 0.05).to_numpy().mean() < 0.3


def test_no_runs_are_told(tmp_path):
    with pytest.raises(RunError, match="no finished run"):
        collect_fact_tests(tmp_path, tmp_path)
