"""What is asked, and what a table of edits holds, each found again by hand."""

import numpy as np
import pandas as pd
import pytest

from interp_rc.engine.inputs import read_inputs
from interp_rc.evaluation.queries import template_halves
from interp_rc.facts.folder import read_facts
from interp_rc.measures.editing.asked import LED, ask, questions
from interp_rc.measures.editing.cases import Known, cases_of
from interp_rc.measures.editing.edits import Edits, best_layers
from interp_rc.models.load import load
from interp_rc.models.scoring import score
from interp_rc.records.nouns import TOLD_IN
from interp_rc.tools.editing.keys import second_moments
from interp_rc.tools.editing.rank_one import edited
from interp_rc.tools.editing.rome import invertible, rome, together


@pytest.fixture(scope="module")
def here(learnt_run):
    facts, model = read_facts(learnt_run.facts), load(learnt_run.model)
    cases = cases_of(facts, learnt_run.table("evaluation/answers"), 4, 0)
    known = Known(facts.queries)
    texts = [document.text for document in facts.documents[:60]]
    moments = {n: invertible(one) for n, one in second_moments(model, texts, [0, 1]).items()}
    return facts, model, known, cases, Edits(model, known, cases, moments)


def test_cases_are_told_facts_with_another_s_answer(here):
    facts, _, _, cases, _ = here
    group_of = {fact.id: fact.group for fact in facts.facts}
    assert {case.cell for case in cases} == {
        ("forward", "trained_forward"),
        ("forward", "both"),
        ("backward", "trained_backward"),
        ("backward", "both"),
    }
    for case in cases:
        assert TOLD_IN[case.group] in (None, case.order)
        assert group_of[case.fact] == group_of[case.other] == case.group
        assert case.fact != case.other
        mine = {c.fact for c in cases if c.cell == case.cell and c.half == case.half}
        assert {case.fact, case.other} <= mine
        assert case.others
        assert not mine & set(case.others)


def test_edits_are_written_and_asked_in_other_templates(here):
    facts, _, known, _, _ = here
    for order, (selecting, measuring) in template_halves(facts.queries).items():
        assert set(known.writing[order]) <= set(selecting)
        assert set(known.asking[order]) <= set(measuring)
        assert known.writing[order]
        assert known.asking[order]


def test_what_is_asked_is_what_scoring_says(here):
    """One forward pass over padded texts, against prompt by prompt."""
    facts, model, known, cases, edits = here
    case = cases[1]
    found = edits.before[case]
    of = {(q.fact, q.template): q for q in facts.queries}
    back = next(o for o in ("forward", "backward") if o != case.order)

    def scored(source, answer, templates):
        prompts = [of[source, t].prompt for t in templates]
        return score(*model, prompts, [of[answer, t].target for t in templates])

    told, reverse = known.asking[case.order], known.asking[back]
    for what, source, answer, templates in (
        ("efficacy", case.fact, case.other, known.writing[case.order][:2]),
        ("paraphrase", case.fact, case.other, told),
        ("old", case.fact, case.fact, told),
        ("reverse", case.other, case.fact, reverse),
        ("old_reverse", case.fact, case.fact, reverse),
    ):
        expected = scored(source, answer, templates)
        assert found[what].log_prob == pytest.approx(float(expected.log_prob.mean()), abs=1e-4)
        assert found[what].said == pytest.approx(float(expected.greedy.double().mean()))
    new, old = (scored(case.fact, who, told).log_prob for who in (case.other, case.fact))
    assert found["paraphrase"].preferred == pytest.approx(float((new > old).double().mean()))
    others = [scored(one, one, told[:1]).log_prob[0] for one in case.others]
    assert found["specificity"].log_prob == pytest.approx(float(np.mean(others)), abs=1e-4)


def test_ranks_and_controls_are_over_names_of_other_facts(here):
    facts, model, known, cases, _ = here
    case = next(c for c in cases if c.order == "forward")
    some = questions(model, known, case).about("reverse", "reverse_control")
    own = [one.targets for one, w in zip(some.inputs, some.whats, strict=True) if w == "reverse"]
    names = [one.targets for one, w in zip(some.inputs, some.whats, strict=True) if w != "reverse"]
    assert len(names) % len(own) == 0
    assert all(name not in own for name in names)
    theirs = next(q for q in facts.queries if q.fact == case.other and q.order == "backward")
    other = model.tokenizer(theirs.target, add_special_tokens=False).input_ids
    assert all(name != other for name in names)
    found = ask(model, some)
    assert set(found) == {"reverse", "reverse_control"}
    assert 1 <= found["reverse"].rank <= 1 + len(names) / len(own)


@pytest.mark.parametrize(
    ("what", "order"), [("old_control", "forward"), ("old_reverse_control", "backward")]
)
def test_the_old_answer_is_led_by_answers_of_other_facts(here, what, order):
    facts, model, known, cases, edits = here
    case = next(c for c in cases if c.order == "forward")
    some = questions(model, known, case).about(what)
    of = {(q.fact, q.template): q for q in facts.queries}
    possible = [
        (of[case.fact, template].prompt, of[fact.id, template].target)
        for template in known.asking[order]
        for fact in facts.facts
        if fact.id not in (case.fact, case.other)
    ]
    allowed = read_inputs(model, *zip(*possible, strict=True))
    assert all(one in allowed for one in some.inputs)
    names = [len(of[case.fact, template].candidates) - 2 for template in known.asking[order]]
    assert len(some.inputs) == sum(min(LED, n) for n in names) > 2
    logs = [
        float(score(*model, [prompt], [target]).log_prob[0])
        for (prompt, target), one in zip(possible, allowed, strict=True)
        if one in some.inputs
    ]
    assert edits.before[case][what].log_prob == pytest.approx(np.mean(logs), abs=1e-4)


def test_facts_told_in_both_orders_are_learnt_in_both(here, learnt_run):
    facts, _, _, cases, _ = here
    answers = learnt_run.table("evaluation/answers")
    both = {fact.id for fact in facts.facts if fact.group == "both"}
    assert {c.fact for c in cases} & both
    back = {q.id for q in facts.queries if q.fact in both and q.order == "backward"}
    answers = answers.assign(match=answers.match & ~answers["query"].isin(back))
    found = cases_of(facts, answers, 4, 0)
    assert {c.group for c in found} == {"trained_forward", "trained_backward"}


def test_rows_are_what_a_model_edited_by_hand_says(here):
    _, model, known, cases, edits = here
    case = cases[0]
    table = edits.in_every_layer([0])
    row = table[(table.fact == case.fact) & (table.order == case.order)].set_index("asked")
    [edit] = rome(model, [known.one_way(case)], 0, edits.moments[0])
    with edited(model, [edit]):
        after = ask(model, questions(model, known, case))
    assert row.value["paraphrase"] == pytest.approx(after["paraphrase"].log_prob, abs=1e-3)
    assert row.before["paraphrase"] == edits.before[case]["paraphrase"].log_prob
    assert set(row.index) == {"efficacy", "paraphrase"}


def test_both_ways_are_written_together(here):
    facts, model, known, cases, edits = here
    case = cases[0]
    table = edits.by_itself({case: 1})
    assert table.groupby("edit").asked.nunique().to_dict() == {"one_way": 9, "two_way": 9}
    requests = [known.one_way(case), known.way_back(case)]
    assert requests[1].source in {q.prompt[slice(*q.source)] for q in facts.queries}
    with edited(model, together(model, requests, 1, edits.moments[1])):
        after = ask(model, edits.asked[case])
    both = table[table.edit == "two_way"].set_index("asked")
    assert both.value["reverse"] == pytest.approx(after["reverse"].log_prob, abs=1e-3)


def test_a_batch_is_of_one_half_and_asked_of_each(here):
    _, _, _, cases, edits = here
    table = edits.together(dict.fromkeys(cases, 0))
    assert len(table) == 9 * len(cases)
    assert set(table.edit) == {"batch"}


def test_a_layer_is_chosen_on_the_other_half(here):
    *_, cases, _ = here
    rows = [
        {"order": c.order, "group": c.group, "half": c.half, "layer": layer, "edit": "one_way"}
        | {"asked": "paraphrase", "value": float(layer == c.half)}
        for c in cases
        for layer in (0, 1)
    ]
    best = best_layers(pd.DataFrame(rows), cases)
    assert all(best[case] == 1 - case.half for case in cases)
