"""The measure on a small run, and its section of the page."""

import numpy as np
import pytest

from interp_rc.display.wording import TIE, spoken
from interp_rc.evaluation.queries import template_halves
from interp_rc.facts.folder import read_facts
from interp_rc.measures.base import MeasureContext, run_measure
from interp_rc.measures.erasure import section as erasure
from interp_rc.measures.erasure.damage import METHODS
from interp_rc.measures.erasure.estimates import judge
from interp_rc.measures.erasure.measure import TABLE, Erasure
from interp_rc.models.load import load
from interp_rc.records.errors import DataError
from interp_rc.records.estimates import Estimates
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured

pytestmark = pytest.mark.slow

MEASURE = Erasure(facts=4)
CHECKED = Estimate(0.9, 0.7, 1.1, 20, "ratio")


@pytest.fixture(scope="module")
def found(learnt_run):
    return run_measure(MEASURE, MeasureContext(learnt_run, load(learnt_run.model)))


def test_estimates_are_means_over_facts(learnt_run, found):
    table = learnt_run.table(TABLE)
    assert set(table.group) == {"both", "trained_forward", "trained_backward"}
    assert set(table[table.group == "trained_forward"].order) == {"forward"}
    for name, role in (("cross", "cross"), ("own_floor", "own_floor")):
        rows = table.query(f"group == 'both' and order == 'backward' and role == '{role}'")
        mean = rows[rows.method == "edit"].damage.mean()
        assert found.estimates[f"erasure.both.backward.edit.{name}"].value == pytest.approx(mean)
    assert len(found.estimates) < 150
    assert found.tests
    assert {test.name.split(".")[1] for test in found.tests} == {"both"}


def test_facts_are_erased_where_they_were_selected_and_asked_elsewhere(learnt_run):
    facts = read_facts(learnt_run.facts)
    halves = template_halves(facts.queries)
    some = MEASURE.cases_of(facts, learnt_run.table("evaluation/answers"), 0)
    for case in (one for part in some.values() for one in part):
        for one in case.questions:
            selecting, measuring = halves[one.query.order]
            assert one.query.template in (selecting if one.role == "erasing" else measuring)


def test_nothing_learnt_leaves_nothing_to_erase(learnt_run):
    answers = learnt_run.table("evaluation/answers").assign(match=False)
    assert MEASURE.cases_of(read_facts(learnt_run.facts), answers, 0) == {}
    section = erasure.section(learnt_run, Measured())
    assert "Too few facts were learnt in both orders" in section.sentence


def test_facts_told_in_both_orders_are_needed(told):
    with pytest.raises(DataError, match="told in both orders, and needs 4; found 3"):
        Erasure().check(told)


def with_ratios(found, ratio, control, other=None):
    """What was found with these ratios in the place of its own, those of `other` by their axes."""
    made = Estimates("erasure")
    for row in found.estimates.rows:
        of = dict(row.of)
        if of.get("quantity") in ("ratio", "control"):
            key = of["order"], of["method"], of["quantity"]
            made.add((other or {}).get(key, ratio if key[2] == "ratio" else control), **of)
        elif not str(of.get("quantity")).startswith("says_"):
            made.add(row.estimate, **of)
    return made


def judged(estimates):
    return Measured(estimates, verdicts=judge(estimates))


def with_measure(run, monkeypatch):
    monkeypatch.setattr(
        type(run), "config", lambda self: {"measures": [{"kind": "erasure", "share": 0.5}]}
    )


def test_the_page_says_ratios_control_and_what_they_mean(learnt_run, found, monkeypatch):
    with_measure(learnt_run, monkeypatch)
    lost, less = (Estimate(0.1, -0.05, 0.2, 20, "ratio"), Estimate(0.9, 0.7, 1, 20, "ratio"))
    estimates = with_ratios(found, lost, CHECKED)
    section = erasure.section(learnt_run, judged(estimates))
    said = spoken(lost).replace(f"{TIE}ratio", "")
    assert said in section.sentence
    assert "other templates: 0.90 to 0.90" in section.sentence
    assert judged(with_ratios(found, lost, CHECKED)).verdicts[0].verdict == "refuted"
    kept = "What is lost in one order is kept in the other, as from two stores"
    assert section.sentence.endswith(f"{kept}.")
    failed = {("forward", "edit", "control"): Estimate(0.4, 0.2, 0.6, 20, "ratio")}
    fewer = erasure.section(learnt_run, judged(with_ratios(found, lost, CHECKED, failed)))
    assert fewer.sentence.endswith(f"{kept} (1 of 6 say neither).")
    assert f"by 50{TIE}%" in section.note
    damage, ratio = section.figures
    assert damage.light != damage.dark
    assert "line between one store and two" in ratio.alt
    for table in section.tables:
        assert len(table.rows) == 6
        assert all(len(row) == len(table.columns) for row in table.rows)
    half = {("forward", method, "ratio"): less for method in METHODS}
    torn = judged(with_ratios(found, lost, CHECKED, half))
    assert "stays open" in erasure.section(learnt_run, torn).sentence
    assert torn.verdicts[0].verdict == "inconclusive"
    assert np.isfinite(estimates["erasure.both.forward.ablation.own"].value)
