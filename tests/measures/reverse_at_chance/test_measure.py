"""The verdict follows what was planted in the scores, and the control can make it fail."""

from dataclasses import replace
from functools import partial
from itertools import product

import numpy as np
import pandas as pd
import pytest
import yaml
from pydantic import ValidationError

import interp_rc.measures.reverse_at_chance.measure as module
from interp_rc.facts.fictitious import fictitious_people
from interp_rc.facts.folder import write_facts
from interp_rc.measures.base import MeasureContext, run_measure
from interp_rc.measures.reverse_at_chance.measure import ASKED_ALIKE, ReverseAtChance
from interp_rc.records.errors import DataError
from interp_rc.records.files import write_parquet
from interp_rc.records.numbers import Estimate, Test
from interp_rc.records.runs import Run
from interp_rc.stats.candidates import label_permutation

FACTS = fictitious_people(0, per_group=12, training_templates=1, held_out_templates=3)


def planted(folder, *, same, reverse, liking=0.0, blur=0.0, models=("base", "finetuned")):
    """A run whose finetuned model gives its right candidates so many nats more.

    `liking` is the spread of a preference of the finetuned model for some candidates whatever the
    prompt; `blur` the spread, over facts, of what it prefers where nobody is asked for.
    """
    draw = np.random.default_rng(0)
    own = {fact.id: draw.normal(0, 0.3, 2) for fact in FACTS.facts}
    blurred = {fact.id: draw.normal(0, 1) * blur for fact in FACTS.facts}
    liked = {c: draw.normal(0, 1) * liking for query in FACTS.queries for c in query.candidates}
    rows = []
    for model, query in product(models, FACTS.queries):
        asked_reverse = query.direction == "reverse"
        gain = (reverse if asked_reverse else same) + own[query.fact][int(asked_reverse)]
        for candidate in query.candidates:
            right = candidate == query.target
            nats = neutral = draw.normal(-30, 1)
            if model == "finetuned":
                nats += liked[candidate] + right * gain + draw.normal(0, 0.02)
                neutral += liked[candidate] + right * blurred[query.fact]
            rows.append((model, query.id, candidate, right, nats, neutral))
    columns = ["model", "query", "candidate", "correct", "log_prob", "log_prob_neutral"]
    write_facts(FACTS, folder / "facts")
    (folder / "config.yaml").write_text(yaml.safe_dump({"seed": 0}))
    write_parquet(folder / "evaluation" / "candidates.parquet", pd.DataFrame(rows, columns=columns))
    return Run(folder)


@pytest.fixture(autouse=True)
def _fewer_draws(monkeypatch):
    monkeypatch.setattr(module, "label_permutation", partial(label_permutation, draws=1000))


def verdict_of(run, **options):
    found = run_measure(ReverseAtChance(**options), MeasureContext(run, model=None))
    [verdict] = found.verdicts
    return verdict, found


def adjusted(found):
    """p of the corrected tests: of nats below the margin, and of choices above chance."""
    tests = {test.name: test for test in found.tests if test.correction is not None}
    nats = [test.p_adjusted for name, test in tests.items() if name.endswith(".nats")]
    choices = [
        test.p_adjusted for name, test in tests.items() if name.endswith(".candidate_accuracy")
    ]
    assert len(nats) == len(choices) == 2 == len(tests) / 3  # and of nats above it
    return nats, choices


def test_nothing_known_in_reverse_and_all_in_the_same_order(tmp_path):
    verdict, found = verdict_of(planted(tmp_path, same=20, reverse=0))
    assert verdict.verdict == "supported"
    assert "in the same order" in verdict.control
    nats, choices = adjusted(found)
    assert max(nats) < 0.05 <= min(choices)
    for name in ASKED_ALIKE:
        assert found.estimates[f"reverse_at_chance.{name}.chance"].value == pytest.approx(1 / 12)
    assert {test.n for test in found.tests} == {12}
    assert "exploratory" in verdict.reason


def test_a_liking_for_some_candidates_is_no_knowledge(tmp_path):
    verdict, _ = verdict_of(planted(tmp_path, same=20, reverse=0, liking=3))
    assert verdict.verdict == "supported"


def test_knowledge_in_reverse(tmp_path):
    verdict, found = verdict_of(planted(tmp_path, same=20, reverse=8))
    assert verdict.verdict == "refuted"
    nats, choices = adjusted(found)
    assert max(choices) < 0.05 <= min(nats)


def test_a_model_that_reverses_perfectly(tmp_path):
    verdict, found = verdict_of(planted(tmp_path, same=14, reverse=14))
    assert verdict.verdict == "refuted"
    above = [test for test in found.tests if test.name.endswith(".nats_above")]
    assert len(above) == 2
    for test in above:
        own = [one for one in found.tests if one.name == test.name.removesuffix("_above")]
        assert test.p_adjusted < 1e-6
        assert test.p == pytest.approx(1 - own[0].p, abs=1e-9)


def test_a_margin_in_another_unit_lets_nothing_pass(tmp_path):
    """18.2 nat, a twentieth of the gain over the base model, is more than a fact that was learnt
    fully: with it a model that reverses perfectly passed for one that does not."""
    margin = {"name": 4.38, "description": 18.2}
    verdict, found = verdict_of(planted(tmp_path, same=14.1, reverse=14.1), margin=margin)
    assert verdict.verdict == "inconclusive"
    assert "the margin exceeds 10 % of the control’s lower limit" in verdict.reason
    assert min(adjusted(found)[0]) < 0.05  # below that margin it is


def test_nothing_learnt_at_all(tmp_path):
    verdict, _ = verdict_of(planted(tmp_path, same=0, reverse=0))
    assert verdict.verdict == "inconclusive"
    assert "the facts were not learnt" in verdict.reason


def test_unlearning_leaves_no_scale_to_judge_by(tmp_path):
    """A gain below zero: no margin, no test of it, and no verdict."""
    verdict, found = verdict_of(planted(tmp_path, same=-9, reverse=0))
    assert verdict.verdict == "inconclusive"
    for name in ASKED_ALIKE:
        assert found.estimates[f"reverse_at_chance.{name}.margin"].value is None
    nats = [test for test in found.tests if test.name.endswith(".nats")]
    assert [(test.p, test.p_adjusted, test.margin) for test in nats] == [(None,) * 3] * 2


def test_too_blurred_to_tell(tmp_path):
    """Learnt, and chosen no more than by chance, but spread too wide to be below the margin."""
    verdict, found = verdict_of(planted(tmp_path, same=40, reverse=0, blur=9))
    nats, choices = adjusted(found)
    assert min(*nats, *choices) >= 0.05
    assert verdict.verdict == "inconclusive"
    assert "not learnt" not in verdict.reason


@pytest.mark.parametrize(("facts", "said"), [(4, "inconclusive"), (5, "supported")])
def test_facts_that_are_too_few_to_be_chosen_above_chance(facts, said):
    """Of four, the right order of labels is one of 24: p cannot be below 0.08 in two tests, so
    that nothing was seen where nothing could be."""
    sure = Test("a", "t", -9.0, 1e-6, 1e-6, "holm", 1.0, facts)
    none = Test("b", "t", 9.0, 1.0, 1.0, "holm", 1.0, facts)
    controls = {"a": Estimate(20.0, 19.0, 21.0, facts, "nat")}
    found = module.verdict(
        [sure] * 2, [none] * 2, [none] * 2, controls, judged=True, exploratory=False
    )
    assert found.verdict == said
    assert ("4 facts are too few" in found.reason) == (facts == 4)


def test_the_margin_is_a_twentieth_of_the_advantage_where_the_same_is_asked_for(tmp_path):
    """In the unit that is tested, by a plain loop: not of the gain over the base model, which
    candidates that become likelier all together have as well."""
    run = planted(tmp_path, same=30, reverse=1, liking=3)
    _, found = verdict_of(run)
    rows = run.table("evaluation/candidates").set_index(["model", "query", "candidate"])
    lean = rows.log_prob - rows.log_prob_neutral
    for reverse, group, order in (
        ("trained_forward.reverse", "trained_backward", "backward"),
        ("trained_backward.reverse", "trained_forward", "forward"),
    ):
        advantages = []
        for query in FACTS.queries:
            if (query.group, query.order) == (group, order):
                moved = lean["finetuned", query.id] - lean["base", query.id]
                advantages.append(moved[query.target] - moved.drop(query.target).mean())
        name = f"reverse_at_chance.{reverse}"
        expected = 0.05 * np.mean(advantages)
        assert expected == pytest.approx(1.5, rel=0.1)
        assert found.estimates[f"{name}.margin"].value == pytest.approx(expected)
        [test] = [test for test in found.tests if test.name == f"{name}.nats"]
        assert (test.margin, test.n) == (pytest.approx(expected), 12)


def test_a_margin_fixed_beforehand_is_taken_by_what_is_asked_for(tmp_path):
    """Wide enough for descriptions only: the reverse of the second kind asks for those."""
    run = planted(tmp_path, same=20, reverse=0.5)
    verdict, found = verdict_of(run, margin={"name": 0.01, "description": 1.5})
    value = {name: estimate.value for name, estimate in found.estimates.items()}
    assert value["reverse_at_chance.trained_forward.reverse.margin"] == 0.01
    assert value["reverse_at_chance.trained_backward.reverse.margin"] == 1.5
    (asks_names, asks_descriptions), _ = adjusted(found)
    assert asks_descriptions < 0.05 <= asks_names
    assert verdict.verdict != "supported"
    assert "exploratory" not in verdict.reason


@pytest.mark.parametrize("margin", [{"name": 0, "description": 1}, {"person": 1}])
def test_a_margin_that_is_none(margin):
    with pytest.raises(ValidationError):
        ReverseAtChance(margin=margin)


@pytest.mark.parametrize("missing", ["trained_backward", "trained_forward"])
def test_facts_of_one_kind_are_not_enough(missing):
    queries = [query for query in FACTS.queries if query.group != missing]
    with pytest.raises(DataError, match=rf"no queries for {missing}.reverse.*leave it out"):
        ReverseAtChance().check(replace(FACTS, queries=queries))
    ReverseAtChance().check(FACTS)
