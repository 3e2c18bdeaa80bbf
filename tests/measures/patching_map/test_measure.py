"""The map measures what it says, on facts that were selected elsewhere."""

import numpy as np
import pandas as pd
import pytest

from interp_rc.evaluation.learnt import learnt_facts
from interp_rc.evaluation.queries import template_halves
from interp_rc.facts.contrasts import contrasts_about
from interp_rc.facts.fictitious import fictitious_people
from interp_rc.facts.folder import write_facts
from interp_rc.measures.base import MeasureContext, run_measure
from interp_rc.measures.patching_map.measure import EFFECTS, PatchingMap
from interp_rc.measures.patching_map.section import section
from interp_rc.records.errors import DataError
from interp_rc.records.files import write_parquet, write_yaml
from interp_rc.records.runs import Run
from interp_rc.tools.patching.patching import patch
from tests.conftest import drawn, untaught
from tests.engine.hooked import Loop, sites_of


@pytest.fixture(scope="module")
def facts():
    return fictitious_people(0, per_group=3, training_templates=2, held_out_templates=4)


def answers(facts, right):
    """A table in which `right(query)` says which answers match."""
    rows = [{"model": "finetuned", "query": q.id, "match": right(q)} for q in facts.queries]
    return pd.DataFrame([*rows, *({**row, "model": "base", "match": False} for row in rows)])


@pytest.fixture(scope="module")
def measured(facts, tokenizer, tmp_path_factory):
    """A run whose model answers at random, and whose table says that it learnt what it was told."""
    run = Run(tmp_path_factory.mktemp("map"))
    write_yaml(run.config_file, {"seed": 3, "name": "map", "measures": [{"kind": "patching_map"}]})
    write_facts(facts, run.facts)
    table = answers(facts, lambda q: q.direction != "reverse" and not q.fact.endswith(".2"))
    write_parquet(run.folder / "evaluation/answers.parquet", table)
    model = untaught(tokenizer, "llama")
    return run, model, run_measure(PatchingMap(), MeasureContext(run, model))


def test_selecting_and_measuring_templates_are_apart(facts):
    for order, (selecting, measuring) in template_halves(facts.queries).items():
        assert len(selecting) == len(measuring) == 2
        assert not set(selecting) & set(measuring)
        asked = {q.template for q in facts.queries if q.order == order}
        assert asked == {*selecting, *measuring}


@pytest.mark.parametrize("order", ["forward", "backward"])
def test_learnt_is_judged_in_the_order_of_training_and_on_selecting_templates(facts, order):
    halves = template_halves(facts.queries)

    def right(query):
        """Everything in reverse and on measuring templates, little where it counts."""
        if query.direction == "reverse" or query.template in halves[query.order][1]:
            return True
        return query.fact.endswith(".0") and query.template == halves[query.order][0][0]

    learnt = learnt_facts(answers(facts, right), facts.queries, order)
    assert sorted(learnt) == ["both.0", "trained_backward.0", "trained_forward.0"]


def test_only_learnt_facts_in_measuring_templates_are_mapped(measured, facts):
    run, _, _ = measured
    table = run.table(EFFECTS)
    halves = template_halves(facts.queries)
    assert not table.fact.str.endswith(".2").any()
    for order, part in table.groupby("order"):
        assert sorted(part.template.unique()) == sorted(halves[order][1])
        assert set(part.group) == {"trained_forward", "trained_backward", "both"}
    assert (
        len(table) == 2 * 6 * 2 * 3 * 2 * 4
    )  # orders, facts, templates, components, layers, places


def test_estimates_are_means_over_facts_by_a_plain_loop(measured, facts):
    run, model, found = measured
    queries = {q.id: q for q in facts.queries}
    loop = Loop(model)
    pairs = run.table(EFFECTS).query(
        "order == 'backward' and group == 'both' and site == 'mlp_out' and layer == 1 "
        "and place == 'source_last'"
    )
    effects, wholes = {}, {}
    [site] = [
        s for s in sites_of(["mlp_out"]) if (s.layer, s.span, s.token) == (1, "source", "last")
    ]
    for pair in pairs.pair:
        query, other = pair.split("|")
        [contrast] = contrasts_about(
            [queries[query], *(q for q in facts.queries if q.fact == other)],
            {queries[query].fact: other},
        )[:1]
        corrupted = loop.log_prob(contrast.corrupted, contrast.target)
        effects.setdefault(contrast.fact, []).append(loop.patched(contrast, site) - corrupted)
        clean = loop.log_prob(contrast.clean, contrast.target)
        wholes.setdefault(contrast.fact, []).append(clean - corrupted)
    total = found.estimates["patching.backward.both.total"]
    assert total.value == pytest.approx(np.mean([np.mean(v) for v in wholes.values()]), abs=1e-4)
    assert total.n == 2
    name = "patching.backward.both.mlp_out.layer_1.source_last"
    last_layer = found.estimates.get(name)
    assert last_layer is None  # behind the last attention: greyed, and zero by the loop too
    assert np.abs(list(effects.values())).max() < 1e-5
    first = found.estimates["patching.backward.both.mlp_out.layer_0.source_all"]
    rows = run.table(EFFECTS).query(
        "order == 'backward' and group == 'both' and site == 'mlp_out' and layer == 0 "
        "and place == 'source_all'"
    )
    assert first.value == pytest.approx(rows.groupby("fact").effect.mean().mean())


def test_one_row_is_what_patch_gives(measured, facts):
    run, model, _ = measured
    row = run.table(EFFECTS).query("site == 'attn_out' and place == 'prompt_last'").iloc[0]
    _, other = row.pair.split("|")
    contrasts = contrasts_about(facts.queries, {row.fact: other})
    [contrast] = [c for c in contrasts if c.id == row.pair]
    [site] = [s for s in sites_of(["attn_out"]) if (s.layer, s.span) == (row.layer, "prompt")]
    assert patch(model, [contrast], [site]).table.effect[0] == pytest.approx(row.effect, abs=1e-5)


def test_the_counts_of_learnt_facts(measured):
    _, _, found = measured
    learnt = [e for name, e in found.estimates.items() if name.endswith(".learnt")]
    assert [e.value for e in learnt] == [pytest.approx(2 / 3)] * 6
    assert found.estimates["patching.noise_floor"].value < 1e-4


def test_nothing_learnt_is_said(facts, tokenizer, tmp_path):
    run = Run(tmp_path)
    write_yaml(run.config_file, {"seed": 3, "measures": [{"kind": "patching_map"}]})
    write_facts(facts, run.facts)
    write_parquet(run.folder / "evaluation/answers.parquet", answers(facts, lambda q: False))
    found = run_measure(PatchingMap(), MeasureContext(run, untaught(tokenizer, "llama")))
    assert {e.value for e in found.estimates.values()} == {0.0}
    assert found.tables == []
    assert "nothing to map" in section(run, found).sentence


def test_too_few_templates_are_refused():
    few = fictitious_people(0, per_group=2, training_templates=2, held_out_templates=3)
    PatchingMap().check(few)
    with pytest.raises(DataError, match="needs 3 in the other half; forward order has 3"):
        PatchingMap(templates=3).check(few)


def test_sites_are_chosen_in_one_template_and_measured_in_the_other(measured):
    run, _, found = measured
    effects = {}
    for row in (
        run.table(EFFECTS).query("order == 'forward' and place == 'prompt_last'").itertuples()
    ):
        if row.site != "resid_post":
            place = f"{row.site}.layer_{row.layer}.{row.place}"
            at = effects.setdefault((row.template, place, row.group), {})
            at.setdefault(row.fact, []).append(row.effect)
    first, second = dict.fromkeys(template for template, _, _ in effects)
    told = {
        place: np.mean([np.mean(v) for v in by_fact.values()])
        for (template, place, group), by_fact in effects.items()
        if (template, group) == (first, "trained_forward")
    }
    best = max(told, key=told.get)
    chosen = found.estimates[f"patching.forward.chosen.{best}"]
    assert (chosen.value, chosen.low, chosen.n) == (pytest.approx(told[best]), None, 2)
    for group in ("trained_forward", "trained_backward", "both"):
        there = [np.mean(v) for v in effects[second, best, group].values()]
        elsewhere = found.estimates[f"patching.forward.elsewhere.prompt_last.{group}"]
        assert (elsewhere.value, elsewhere.n) == (pytest.approx(np.mean(there)), 2)
    names = [name for name in found.estimates if ".chosen." in name]
    assert len(names) == 4  # orders, at the source and at the end


@pytest.mark.slow
def test_the_section(measured):
    """Each order with its own map and its own sentence; the peak is measured where not chosen."""
    run, _, found = measured
    part = drawn(section(run, found))
    assert [p.title for p in part.figures] == ["Asked name first", "Asked description first"]
    assert part.sentence.count("that separate two facts told that way") == 2
    assert (run.figures / "patching_map_forward.svg").is_file()
    rows = run.table("mechanism/patching_map_baselines")
    rows = rows[(rows.order == "forward") & (rows.group == "trained_forward")]
    rows = rows[rows.template != rows.template.iloc[0]]
    total = (rows.clean - rows.corrupted).groupby(rows.fact).mean().mean()
    assert f"{total:.2f}".replace("-", "−") in part.sentence
