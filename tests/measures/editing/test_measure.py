"""The measure and its section on a small run: numbers are those of its tables."""

import numpy as np
import pandas as pd
import pytest

from interp_rc.display.wording import spoken
from interp_rc.measures.base import MeasureContext, run_measure
from interp_rc.measures.editing import section as editing
from interp_rc.measures.editing.estimates import edit_tests, with_gain
from interp_rc.measures.editing.measure import BY_LAYER, EDITS, LOCATED, Editing
from interp_rc.models.load import load
from interp_rc.records.errors import DataError
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured, Run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def measured(learnt_run):
    return learnt_run, run_measure(
        Editing(facts=4), MeasureContext(learnt_run, load(learnt_run.model))
    )


def test_estimates_are_means_over_facts_of_the_tables(measured):
    run, found = measured
    assert set(found.tables) == {EDITS, BY_LAYER, LOCATED}
    table = run.table(EDITS)
    assert set(table.model) == {"finetuned", "base"}
    some = table.query("model == 'finetuned' and group == 'both' and edit == 'two_way'")
    some = some[some.asked == "paraphrase"]
    one = found.estimates["editing.told_both.two_way.paraphrase"]
    assert one.value == pytest.approx(some.groupby("fact").effect.mean().mean())
    assert one.n == some.fact.nunique()
    cell = table.query("model == 'base' and order == 'backward' and edit == 'one_way'")
    cell = cell[cell.group == "trained_backward"].set_index(["fact", "asked"]).effect.unstack()
    one = found.estimates["editing.base.backward.trained_backward.one_way.reverse_gained"]
    assert one.value == pytest.approx((cell.reverse - cell.reverse_control).mean())
    assert sum(".by_layer." not in name for name in found.estimates) < 150
    assert {name.rpartition(".")[2] for name in found.estimates} >= {
        "within_layers",
        "within_variance",
    }
    some = table.query("model == 'finetuned' and group == 'both' and edit == 'one_way'")
    asked = some.groupby(["fact", "asked"])[["before", "effect"]].mean().unstack()
    for lead, own in (("old_lead", "old"), ("old_reverse_lead", "old_reverse")):
        over = {
            what: (asked[what, own] - asked[what, f"{own}_control"]).mean()
            for what in ("before", "effect")
        }
        name = f"editing.told_both.one_way.{lead}"
        assert found.estimates[name].value == pytest.approx(over["effect"])
        assert found.estimates[f"{name}.before"].value == pytest.approx(over["before"])


def test_in_the_base_model_facts_get_their_own_answers(measured):
    run, _ = measured
    table = run.table(EDITS)
    assert (table.other == table.fact).equals(table.model == "base")
    assert table[table.model == "base"].preferred.isna().all()


def made(back, way_back, n=12, *, both_ways=9.0, paraphrase=10.0):
    """A table of edits: what comes back in the other direction, and what it costs."""
    draw = np.random.default_rng(0)
    rows = []
    for group in ("trained_forward", "both"):
        for fact in range(n):
            for edit in ("one_way", "two_way"):
                effects = {
                    "paraphrase": paraphrase,
                    "old": -8.0,
                    "reverse": 1 + (back if edit == "one_way" else both_ways),
                    "reverse_control": 1.0,
                    "old_control": 0.0,
                    "old_reverse": way_back,
                    "old_reverse_control": 0.0,
                }
                led_by = 10 + 0.1 * (fact % 3 - 1)
                before = {"old": -0.1, "old_reverse": led_by - 10.1}
                key = {"model": "finetuned", "fact": f"{group}.{fact}", "order": "forward"}
                key |= {"group": group, "layer": 0, "edit": edit}
                rows += [
                    key
                    | {"asked": what, "effect": effect + 0.1 * draw.normal(), "said": 0.0}
                    | {"before": before.get(what, -10.1)}
                    for what, effect in effects.items()
                ]
    return pd.DataFrame(rows).assign(value=lambda table: table.before + table.effect)


def test_tests_say_what_was_made():
    def called(table):
        return {t.name.rpartition(".")[2]: t.p_adjusted < 0.05 for t in edit_tests(table)}

    names = ("one_way_not_back", "two_way_back", "one_way_leaves_the_way_back")
    assert called(made(0.0, 0.0)) == dict.fromkeys(names, True)
    moved = called(made(9.0, -8.0))
    assert moved == dict(zip(names, (False, True, False), strict=True))
    gained = with_gain(made(2.0, 0.0)).query("asked == 'reverse_gained' and edit == 'one_way'")
    assert gained.effect.mean() == pytest.approx(2.0, abs=0.2)
    leads = with_gain(made(0.0, -3.0)).query("asked == 'old_reverse_lead'")
    assert sorted(set(leads.before.round(6))) == [9.9, 10.0, 10.1]
    assert leads.effect.mean() == pytest.approx(-3.0, abs=0.2)
    np.testing.assert_allclose(leads.value, leads.before + leads.effect)


def test_the_margin_of_the_way_back_is_of_the_lead_that_there_was():
    def left(way_back):
        return next(
            t for t in edit_tests(made(0.0, way_back)) if t.name.endswith("leaves_the_way_back")
        )

    assert left(-0.25).p < 0.05  # of a margin of 0.5
    assert left(-0.75).p > 0.95


def test_the_margin_of_one_way_is_of_what_both_ways_gain():
    """The new answer's own gain is in another unit: a large one let a whole gain back pass."""

    def back(**made_of):
        return [t for t in edit_tests(made(**made_of)) if t.name.endswith("one_way_not_back")]

    [test] = back(back=9.0, way_back=0.0, paraphrase=300.0)
    assert test.margin == pytest.approx(0.05 * 9.0, rel=0.02)
    assert test.p > 0.95
    [test] = back(back=0.3, way_back=0.0, paraphrase=1.0)
    assert test.margin == pytest.approx(0.45, rel=0.02)
    assert test.p < 0.05


@pytest.mark.parametrize("both_ways", [-1.0, 0.02])
def test_no_margin_where_both_ways_gain_nothing(both_ways):
    """There is no scale to judge by: nothing is said, and not that nothing came back."""
    names = {t.name.rpartition(".")[2] for t in edit_tests(made(0.0, 0.0, both_ways=both_ways))}
    assert names == {"two_way_back", "one_way_leaves_the_way_back"}


def test_profiles_are_means_over_facts_layer_by_layer(measured):
    run, found = measured
    for way, table in (
        ("edited", run.table(BY_LAYER).query("asked == 'paraphrase'")),
        ("tracing", run.table(LOCATED).query("by == 'tracing'")),
    ):
        effects = {}
        for row in table.itertuples():
            if row.group == "both" and row.layer == 0:
                effects.setdefault(row.fact, []).append(row.effect)
        means = [sum(some) / len(some) for some in effects.values()]
        one = found.estimates[f"editing.by_layer.{way}.told_both.layer_0"]
        assert (one.value, one.n) == (pytest.approx(sum(means) / len(means)), len(means))


def test_the_section_says_the_numbers(measured):
    run, found = measured
    section = editing.section(run, found)
    for name in ("told_once.one_way.reverse_gained", "told_once.two_way.reverse_gained"):
        assert spoken(found.estimates[f"editing.{name}"]) in section.sentence
    lost = found.estimates["editing.told_both.one_way.old_reverse_lead"]
    ends = [None if v is None else -v for v in (lost.value, lost.high, lost.low)]
    assert spoken(Estimate(*ends, lost.n, lost.unit)) in section.sentence
    assert "Written into the base model" in section.sentence
    asked, by_layer = section.figures
    assert asked.light != asked.dark
    assert by_layer.light != by_layer.dark
    said, leads, where = section.tables
    assert len(said.rows) == 6
    before = found.estimates["editing.told_both.one_way.old_reverse_lead.before"]
    assert spoken(before) in section.sentence
    assert leads.rows[1][0] == "Told in both"
    assert leads.rows[1][3].startswith(f"{before.value:.2f}".replace("-", "−"))
    assert [row[0] for row in where.rows] == list(editing.WAYS.values())
    assert {row[1] for row in where.rows} == {""}  # one layer alone can be reached


def test_nothing_learnt_is_said(learnt_run):
    section = editing.section(learnt_run, Measured())
    assert "Fewer than four facts" in section.sentence
    assert not section.figures


def test_too_few_templates_are_refused(told):
    with pytest.raises(DataError, match="measure editing"):
        Editing().check(told)


def test_without_a_base_nothing_is_written_into_it(learnt_run, tmp_path):
    run = Run(tmp_path)
    for name in ("facts", "model", "evaluation", "config.yaml"):
        (run.folder / name).symlink_to(learnt_run.folder / name)
    found = run_measure(Editing(facts=4), MeasureContext(run, load(run.model)))
    assert set(run.table(EDITS).model) == {"finetuned"}
    assert "transplant" not in set(run.table(LOCATED).by)
    section = editing.section(run, found)
    assert "base model" not in section.sentence
    assert len(section.tables[2].rows) == 4


def test_what_was_not_learnt_is_not_edited(learnt_run, tmp_path):
    run = Run(tmp_path)
    for name in ("facts", "model", "config.yaml"):
        (run.folder / name).symlink_to(learnt_run.folder / name)
    run.evaluation.mkdir()
    answers = learnt_run.table("evaluation/answers").assign(match=False)
    answers.to_parquet(run.evaluation / "answers.parquet")
    assert run_measure(Editing(facts=4), MeasureContext(run, load(run.model))).estimates == {}
    with pytest.raises(ValueError, match="greater than or equal to 4"):
        Editing(facts=3)
