"""Runs made by hand, as if finished: no model, no training."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from interp_rc.evaluation.cells import cells
from interp_rc.facts.factset import FactSet
from interp_rc.facts.fictitious import fictitious_people
from interp_rc.facts.folder import write_facts
from interp_rc.measures.base import ANSWERS, CANDIDATES
from interp_rc.measures.behaviour.measure import estimates
from interp_rc.measures.exact_match.measure import estimates as exact_match_estimates
from interp_rc.measures.forgetting.measure import TABLE, pooled
from interp_rc.records.estimates import Estimates, cell
from interp_rc.records.files import write_json, write_parquet, write_yaml
from interp_rc.records.nouns import Query
from interp_rc.records.numbers import Estimate, Test, Verdict
from interp_rc.records.runs import Measured, Run

Right = Callable[[Query], bool]
MEASURES = ("behaviour", "forgetting", "reverse_at_chance")


def learnt(query: Query) -> bool:
    """In the order it was told in, but for one fact, in one of its templates."""
    return query.direction != "reverse" and not query.id.startswith("trained_forward.0/name")


def never(query: Query) -> bool:
    return False


@pytest.fixture(scope="session")
def facts() -> FactSet:
    """Four facts a group, two held-out templates an order."""
    return fictitious_people(0, per_group=4, training_templates=3, held_out_templates=2)


def config(measures: Sequence[str], trained: bool, **changes: Any) -> dict[str, Any]:
    return {
        "name": "by-hand",
        "seed": 7,
        "facts": {"kind": "people"},
        "model": {"kind": "embedded", "size": {"layers": 2, "width": 32}},
        "training": {"epochs": 4, "objective": {"kind": "next_token", "loss_on": "document"}}
        if trained
        else None,
        "measures": [{"kind": kind} for kind in measures],
    } | changes


def answers(queries: Sequence[Query], model: str, right: Right) -> pd.DataFrame:
    columns = "id fact group order direction template seen prompt target".split()
    table = pd.DataFrame([[getattr(q, c) for c in columns] for q in queries], columns=columns)
    table = table.rename(columns={"id": "query"}).assign(model=model, seed=7, rule="prefix")
    table["match"] = [right(q) for q in queries]
    table["text"] = [q.target if right(q) else " somebody else" for q in queries]
    return table.assign(log_prob=-5.0, n_tokens=4)


def candidates(queries: Sequence[Query], model: str, right: Right) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "model": model,
            "query": query.id,
            "candidate": candidate,
            "correct": candidate == query.target,
            "log_prob": -2.0 if right(query) and candidate == query.target else -9.0 - i / 8,
            "log_prob_neutral": -9.5,
        }
        for query in queries
        for i, candidate in enumerate(query.candidates)
    )


def forgetting(queries: Sequence[Query], table: pd.DataFrame) -> Estimates:
    before, after = (Estimate(v, v / 2, 1.0, 4, "fraction") for v in (0.9, 0.1))
    found = pooled(table)
    for asked in cells(queries):
        found.add(before, quantity="exact_match", **asked.of, when="before")
        found.add(after, quantity="exact_match", **asked.of, when="after")
    return found


def claim() -> Measured:
    found, of = Estimates("reverse_at_chance"), cell("trained_forward", "reverse")
    found.add(Estimate(2.4, None, None, 4, "nat"), **of, quantity="margin")
    found.add(Estimate(0.25, None, None, 4, "fraction"), **of, quantity="chance")
    name = found.name(**of)
    return Measured(
        found,
        tests=[Test(f"{name}.nats", "non-superiority t", -3.0, 0.003, 0.0061, "holm", 2.4, 4)],
        verdicts=[Verdict("reverse_at_chance", "supported", "below the margin", "18.22 nat")],
    )


@pytest.fixture
def make(tmp_path: Path, facts: FactSet) -> Callable[..., Run]:
    """A run folder about these facts: `right` says which queries the finetuned model answers."""

    def build(
        right: Right = learnt,
        *,
        measures: Sequence[str] = MEASURES,
        trained: bool = True,
        about: FactSet = facts,
        groups: Sequence[str] | None = None,
        edit: Callable[[pd.DataFrame], pd.DataFrame] = lambda table: table,
        **changes: Any,
    ) -> Run:
        run = Run(tmp_path / "a run")
        some = _only(about, groups)
        write_facts(some, run.facts)
        write_yaml(run.config_file, config(measures, trained, **changes))
        write_json(run.environment_file, {"interp_rc": "0", "packages": {"torch": None}})
        models = [("base", never), ("finetuned", right)] if trained else [("base", right)]
        tables = {
            ANSWERS: pd.concat(answers(some.queries, *model) for model in models),
            CANDIDATES: pd.concat(candidates(some.queries, *model) for model in models),
            TABLE: pd.concat(
                answers(some.queries, *m) for m in (("base", learnt), ("finetuned", never))
            ),
        }
        for name, table in tables.items():
            write_parquet(run.folder / f"{name}.parquet", edit(table))
        found = estimates(tables[ANSWERS], tables[CANDIDATES], some.queries, 7)
        parts = {
            "behaviour": Measured(estimates=found, tables=[ANSWERS, CANDIDATES]),
            "exact_match": Measured(
                estimates=exact_match_estimates(tables[ANSWERS], some.queries, 7), tables=[ANSWERS]
            ),
            "forgetting": Measured(
                estimates=forgetting(some.queries, tables[TABLE]), tables=[TABLE]
            ),
            "reverse_at_chance": claim(),
        }
        for part in parts.values():
            part.roles = some.roles
        for kind in measures:
            if kind in parts:
                run.write_measured(kind, parts[kind])
        return run

    return build


def _only(facts: FactSet, groups: Sequence[str] | None) -> FactSet:
    if groups is None:
        return facts
    kept = [fact for fact in facts.facts if fact.group in groups]
    ids = {fact.id for fact in kept}
    return replace(
        facts,
        facts=kept,
        documents=[d for d in facts.documents if d.fact in ids],
        queries=[q for q in facts.queries if q.fact in ids],
    )
