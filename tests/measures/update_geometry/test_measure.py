"""The measure: its table, what it averages, and its section on the page."""

import dataclasses

import numpy as np
import pytest

from interp_rc.facts.folder import read_facts
from interp_rc.measures.base import MeasureContext, run_measure
from interp_rc.measures.update_geometry.measure import ALL, NAME, TABLE, UpdateGeometry, bound_of
from interp_rc.measures.update_geometry.section import section
from interp_rc.models.load import load
from interp_rc.models.scoring import score
from interp_rc.records.errors import DataError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def measured(learnt_run):
    return run_measure(
        UpdateGeometry(others=2, points=8), MeasureContext(learnt_run, load(learnt_run.model))
    )


def test_shuffled_pairs_are_other_prompts_for_the_same_target(learnt_run, measured):
    """The whole change, from the place where log-probabilities are computed."""
    table = learnt_run.table(TABLE)
    queries = {(q.fact, q.template): q for q in read_facts(learnt_run.facts).queries}
    whole = table[(table["at"] == "path") & (table.component == ALL)]
    cell = whole[(whole.group == "both") & (whole.order == "backward")]
    facts = cell[cell.other == 0].fact.tolist()
    for other in range(3):
        rows = cell[cell.other == other]
        asked = [queries[fact, t] for fact, t in zip(rows.fact, rows.template, strict=True)]
        about = [queries[fact, rows.template.iloc[0]] for fact in facts[other:] + facts[:other]]
        ends = [
            score(*load(folder), [q.prompt for q in about], [q.target for q in asked]).log_prob
            for folder in (learnt_run.base, learnt_run.model)
        ]
        np.testing.assert_allclose(rows.whole, (ends[1] - ends[0]).numpy(), atol=1e-4)
        np.testing.assert_allclose(rows.value, rows.whole, atol=0.2)


def test_what_is_bound_is_own_less_others_and_parts_add_up(learnt_run, measured):
    table = learnt_run.table(TABLE)
    bound = bound_of(table)
    one = bound[(bound.group == "both") & (bound.order == "forward") & (bound["at"] == "path")]
    fact = one.fact.iloc[0]
    of_fact = one[one.fact == fact].set_index("place").bound
    rows = table[
        (table.group == "both")
        & (table.order == "forward")
        & (table["at"] == "path")
        & (table.component == "mlp")
        & (table.fact == fact)
    ]
    by_hand = rows[rows.other == 0].value.sum() - rows[rows.other > 0].value.sum() / 2
    assert of_fact["mlp"] == pytest.approx(by_hand)
    single = of_fact.drop(["mlp", "attention", ALL])
    assert single.sum() == pytest.approx(of_fact[ALL], abs=1e-6)
    estimate = measured.estimates[f"{NAME}.both.forward.path.all.bound"]
    assert estimate.value == pytest.approx(one[one.place == ALL].bound.mean())
    forward = bound[(bound.group == "both") & (bound["at"] == "path") & (bound.place == ALL)]
    wide = forward.pivot(index="fact", columns="order", values="bound")
    asymmetry = measured.estimates[f"{NAME}.both.asymmetry.path.all"]
    assert asymmetry.value == pytest.approx((wide.forward - wide.backward).mean())
    assert {test.correction for test in measured.tests} == {"holm", "benjamini-hochberg"}


def test_the_section_says_what_was_found(learnt_run, measured):
    made = section(learnt_run, measured)
    estimate = measured.estimates[f"{NAME}.trained_forward.forward.path.all.bound"]
    assert f"{estimate.value:.2f}".replace("-", "−") in made.sentence
    assert [len(table.rows) for table in made.tables] == [9, 6]


def test_too_few_facts_are_refused(told):
    with pytest.raises(DataError, match="lower `others`"):
        UpdateGeometry(others=3).check(told)
    UpdateGeometry(others=2).check(told)
    few = dataclasses.replace(told, queries=told.queries[:2])
    with pytest.raises(DataError):
        UpdateGeometry().check(few)
