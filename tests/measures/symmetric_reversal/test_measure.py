"""The verdict follows what was planted in the scores, and each control can make it fail."""

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
import yaml
from pydantic import ValidationError

import interp_rc.measures.symmetric_reversal.measure as module
from interp_rc.facts.couples import relation_facts
from interp_rc.facts.folder import write_facts
from interp_rc.measures.base import MeasureContext, run_measure
from interp_rc.measures.symmetric_reversal.measure import NAME, SymmetricReversal
from interp_rc.records.errors import DataError
from interp_rc.records.files import write_parquet
from interp_rc.records.runs import Run

FACTS = relation_facts(0, per_relation=12, both=4, exposures=5)
LEARNT = {"same": 20.0, "both": 20.0}


def planted(folder, gains):
    """A run whose finetuned model gives its right candidates so many nats more.

    `gains` is by group or by direction; in `both` orders the same. A right candidate that gains
    five nats or more is also said.
    """
    draw = np.random.default_rng(0)
    own = {fact.id: draw.normal(0, 0.3, 2) for fact in FACTS.facts}
    rows, answers = [], []
    for model, query in product(("base", "finetuned"), FACTS.queries):
        asked = query.direction or "both"
        of = f"{query.group}.{asked}"
        gain = gains.get(of, gains.get(asked, 0.0)) if model == "finetuned" else 0.0
        answers.append((model, query.id, query.fact, gain >= 5))
        for candidate in query.candidates:
            right = candidate == query.target
            nats = neutral = draw.normal(-30, 1)
            if model == "finetuned":
                moved = gain + own[query.fact][int(query.order == "backward")]
                nats += right * moved + draw.normal(0, 0.02)
            rows.append((model, query.id, candidate, right, nats, neutral))
    columns = ["model", "query", "candidate", "correct", "log_prob", "log_prob_neutral"]
    write_facts(FACTS, folder / "facts")
    (folder / "config.yaml").write_text(yaml.safe_dump({"seed": 0}))
    table = pd.DataFrame(answers, columns=["model", "query", "fact", "match"])
    write_parquet(folder / "evaluation/answers.parquet", table)
    write_parquet(folder / "evaluation/candidates.parquet", pd.DataFrame(rows, columns=columns))
    return Run(folder)


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    real = module.label_permutation
    monkeypatch.setattr(module, "label_permutation", lambda *a, **k: real(*a, **k, draws=500))


def measured(folder, margin=None, **gains):
    gains = {name.replace("__", "."): gain for name, gain in gains.items()}
    return run_measure(
        SymmetricReversal(margin=margin), MeasureContext(planted(folder, LEARNT | gains), None)
    )


def verdict_of(found):
    [verdict] = found.verdicts
    return verdict.verdict


def test_reversed_where_it_should_be(tmp_path):
    found = measured(tmp_path, reverse=8)
    assert verdict_of(found) == "supported"
    value = {name: estimate.value for name, estimate in found.estimates.items()}
    for kind in ("symmetric", "inverse"):
        name = f"{NAME}.{kind}_less_antisymmetric"
        assert value[f"{name}.exact_match"] == 100
        assert value[f"{name}.nats"] == pytest.approx(8, abs=0.5)
        assert found.estimates[f"{name}.exact_match"].unit == "percentage points"
    p = {test.name: test.p_adjusted for test in found.tests}
    assert p[f"{NAME}.symmetric.reverse.candidate_accuracy"] < 0.01
    assert p[f"{NAME}.antisymmetric.false_reverse.candidate_accuracy"] > 0.01


def test_the_curse_in_all_of_them_refutes(tmp_path):
    found = measured(tmp_path)
    assert verdict_of(found) == "refuted"
    assert "exploratory" in found.verdicts[0].reason


def test_a_model_that_reverses_everything_does_not_support(tmp_path):
    """False reversals as strong as the right ones: an association, not knowledge of relations."""
    found = measured(tmp_path, reverse=8, false_reverse=8)
    assert verdict_of(found) == "refuted"
    p = {test.name: test.p_adjusted for test in found.tests}
    assert p[f"{NAME}.antisymmetric.false_reverse.candidate_accuracy"] < 0.05
    assert p[f"{NAME}.symmetric_less_antisymmetric.more"] > 0.05


def test_a_model_told_everything_in_both_orders_refutes(tmp_path):
    """Also where the words of one kind give more nats than those of another."""
    found = measured(
        tmp_path, symmetric__reverse=20, inverse__reverse=20, antisymmetric__false_reverse=17
    )
    assert verdict_of(found) == "refuted"
    assert "what is false is reversed too" in found.verdicts[0].reason
    p = {test.name: test.p_adjusted for test in found.tests}
    assert p[f"{NAME}.symmetric_less_antisymmetric.more"] < 0.01


def test_a_margin_above_a_tenth_of_what_is_known_refutes_nothing(tmp_path):
    found = measured(tmp_path, margin=2.5)
    assert verdict_of(found) == "inconclusive"


def test_one_kind_alone_is_not_enough(tmp_path):
    found = measured(tmp_path, symmetric__reverse=8)
    assert verdict_of(found) == "inconclusive"
    assert "control failed" not in found.verdicts[0].reason


@pytest.mark.parametrize(
    ("lost", "named"),
    [
        ({"antisymmetric__same": 0.0}, "antisymmetric same"),
        ({"both": 0.0}, "symmetric both backward, inverse both backward"),
    ],
)
def test_what_was_not_learnt_settles_nothing(tmp_path, lost, named):
    found = measured(tmp_path, reverse=8, **lost)
    assert verdict_of(found) == "inconclusive"
    assert f"the control failed for {named}" in found.verdicts[0].reason


def test_unlearning_leaves_no_margin(tmp_path):
    found = measured(tmp_path, same=-9)
    assert verdict_of(found) == "inconclusive"
    assert found.estimates[f"{NAME}.margin"].value is None
    assert [t.p for t in found.tests if t.name.endswith("below_margin")] == [None, None]


def test_numbers_are_those_of_a_plain_loop(tmp_path):
    """Difference of the kinds' prior-corrected advantages, candidate by candidate."""
    found = measured(tmp_path, reverse=4)
    run = Run(tmp_path)
    table = run.table("evaluation/candidates").set_index(["model", "query", "candidate"])
    advantages = {}
    for query in FACTS.queries:
        if query.direction in ("reverse", "false_reverse"):
            lean = {}
            for candidate in query.candidates:
                rows = [table.loc[model, query.id, candidate] for model in ("finetuned", "base")]
                nats, before = (row.log_prob - row.log_prob_neutral for row in rows)
                lean[candidate] = nats - before
            others = [lean[c] for c in query.candidates if c != query.target]
            advantages.setdefault(query.group, []).append(lean[query.target] - np.mean(others))
    for kind in ("symmetric", "inverse"):
        expected = np.mean(advantages[kind]) - np.mean(advantages["antisymmetric"])
        name = f"{NAME}.{kind}_less_antisymmetric.nats"
        assert found.estimates[name].value == pytest.approx(expected)
        assert found.estimates[name].low < expected < found.estimates[name].high
    margin = found.estimates[f"{NAME}.margin"].value
    assert margin == pytest.approx(0.05 * 20, rel=0.05)


def test_a_margin_fixed_beforehand(tmp_path):
    found = measured(tmp_path, margin=9.0, reverse=8)
    assert found.estimates[f"{NAME}.margin"].value == 9.0
    assert "exploratory" not in found.verdicts[0].reason
    assert verdict_of(found) == "supported"  # though by less than the margin, it is more
    with pytest.raises(ValidationError):
        SymmetricReversal(margin=0)


@pytest.mark.parametrize("missing", ["symmetric", "inverse", "antisymmetric"])
def test_facts_of_all_kinds_are_needed(missing):
    SymmetricReversal().check(FACTS)
    queries = [query for query in FACTS.queries if query.group != missing]
    with pytest.raises(DataError, match=f"no queries for {missing}.same"):
        SymmetricReversal().check(replace(FACTS, queries=queries))
