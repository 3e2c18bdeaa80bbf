"""The measure on a small run, whole and with an adapter: numbers are those of its tables."""

import numpy as np
import pytest

from interp_rc.display.wording import spoken
from interp_rc.facts.folder import read_facts
from interp_rc.measures.base import MeasureContext, run_measure
from interp_rc.measures.transplant import section as transplant
from interp_rc.measures.transplant.asking import Asking
from interp_rc.measures.transplant.estimates import (
    NEURONS,
    RANKS,
    SETS,
    SINGLE,
    SITES,
    SPECTRA,
    transplant_estimates,
)
from interp_rc.measures.transplant.measure import (
    Transplant,
    in_first_template,
    in_turn,
    transplants,
)
from interp_rc.measures.transplant.pair import Adapted, Whole
from interp_rc.measures.transplant.single import ends
from interp_rc.models.load import load, save
from interp_rc.records.errors import DataError, ModelError
from interp_rc.records.nouns import TOLD_ONLY
from interp_rc.records.runs import Measured, Run
from tests.models.test_lora import adapted, saved

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def measured(learnt_run):
    return learnt_run, run_measure(Transplant(), MeasureContext(learnt_run, load(learnt_run.model)))


def test_tables_hold_what_is_estimated(measured):
    run, found = measured
    assert set(found.tables) == {SINGLE, SETS, SITES, RANKS, SPECTRA, NEURONS}
    single = run.table(SINGLE)
    part = single.query(
        "act == 'taken' and site == 'mlp.1' and metric == 'lead' and direction == 'reverse'"
    )
    one = found.estimates["transplant.taken.mlp.layer_1.reverse"]
    assert one.value == pytest.approx(part.effect.mean())
    assert one.n == part.fact.nunique() == len(part)
    assert len(found.estimates) < 150
    neurons = run.table(NEURONS)
    part = neurons.query("act == 'given' and of == 'both' and k == 16 and direction == 'same'")
    for kind in ("top", "random"):
        name = f"transplant.neurons.given.both.{kind}.k16"
        mean = part[part.set == kind].effect.mean()
        assert found.estimates[name].value == pytest.approx(mean)


def test_sets_are_measured_on_other_facts_than_they_were_chosen_on(measured):
    run, _ = measured
    facts = read_facts(run.facts)
    questions = in_turn(facts, run.table("evaluation/answers"), 0)
    sets = run.table(SETS)
    for told, group in TOLD_ONLY.items():
        mine = sets[sets.told == told]
        assert set(mine.group) == {group}
        known = {f.id for f in facts.facts if f.group == group}
        assert 0 < mine.fact.nunique() <= len(known) / 2
        whole = mine[mine.set == "all"]
        assert set(whole.asked) == {"told", "paraphrase", "reverse"}
        assert (whole[whole.asked == "reverse"].direction == "reverse").all()
        assert (whole[whole.asked != "reverse"].direction == "same").all()
        first = {q.query for q in in_first_template(questions)}
        assert set(whole[whole.asked == "told"]["query"]) <= first


def test_all_weights_bring_what_the_models_differ_by(measured):
    run, found = measured
    base, model = load(run.base), load(run.model)
    facts = read_facts(run.facts)
    first = in_first_template(in_turn(facts, run.table("evaluation/answers"), 0))
    known = ends(Whole(base, model), Asking(base, first))
    gain = (known.finetuned.fact - known.base.fact).tolist()
    both = [value for q, value in zip(first, gain, strict=True) if q.group == "both"]
    one = found.estimates["transplant.all.both.both.fact"]
    assert one.value == pytest.approx(np.mean(both))
    ranks = run.table(RANKS)
    most = ranks[(ranks["rank"] == ranks["rank"].max()) & (ranks.kept == "top")]
    # Paired anew within half of the facts, so only the answers themselves are the same.
    more = (known.finetuned.own - known.base.own).tolist()
    own = {q.query: value for q, value in zip(first, more, strict=True)}
    np.testing.assert_allclose(most.answer, most["query"].map(own), atol=2e-4)


def test_the_page_says_what_was_found(measured):
    run, found = measured
    section = transplant.section(run, found)
    name = "transplant.smallest.forward.all.told"
    assert spoken(found.estimates[name]) in section.sentence
    chosen = [o for o in TOLD_ONLY if f"transplant.smallest.{o}.greedy.told" in found.estimates]
    assert len(section.figures) == 2 + bool(chosen)
    assert section.sentence.count("chosen on half") == len(chosen)
    for figure in section.figures:
        assert figure.light.startswith("data:image/svg")
        assert figure.light != figure.dark
    outside, chosen, compared = section.tables
    assert [row[0] for row in outside.rows] == ["the embedding", "the output rows", "norms"]
    assert all(len(row) == len(t.columns) for t in section.tables for row in t.rows)
    assert {row[0] for row in compared.rows} == {"told name first", "told description first"}
    assert len(chosen.columns) == 3


def test_nothing_learnt_is_said(learnt_run):
    assert "nothing to move" in transplant.section(learnt_run, Measured()).sentence


def test_an_adapter_is_measured_without_merging(learnt_run, tmp_path):
    model = load(learnt_run.model)
    save(model, tmp_path / "base")
    saved(adapted(model, tmp_path / "base"), tmp_path / "adapter")
    inside = load(tmp_path / "adapter")
    facts = read_facts(learnt_run.facts)
    questions = in_turn(facts, learnt_run.table("evaluation/answers"), 0)
    tables = transplants(Adapted(inside), inside, questions, 0)
    assert set(tables) == {SINGLE, SETS, SITES}
    assert set(tables[SINGLE].component) == {"attention", "mlp"}
    found = transplant_estimates(tables, 0)
    assert "transplant.given.mlp.layer_0.same" in found
    assert all(np.isfinite(one.value) for one in found.values())


def test_too_few_templates_and_a_missing_base_are_refused(told, learnt_run, tmp_path):
    with pytest.raises(DataError, match="measure transplant"):
        Transplant().check(told)
    run = Run(tmp_path)
    for name in ("facts", "evaluation", "config.yaml"):
        (tmp_path / name).symlink_to(learnt_run.folder / name)
    with pytest.raises(ModelError, match="give the base"):
        run_measure(Transplant(), MeasureContext(run, load(learnt_run.model)))
