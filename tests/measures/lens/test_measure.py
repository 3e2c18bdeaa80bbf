"""Lens and attention as measures: learnt facts only, both ways round, controls beside them."""

import numpy as np
import pandas as pd
import pytest

from interp_rc.evaluation.learnt_contrasts import learnt_contrasts, paired
from interp_rc.facts.fictitious import fictitious_people
from interp_rc.facts.folder import write_facts
from interp_rc.measures.attention import section as attention_report
from interp_rc.measures.attention.measure import COSTS, WEIGHTS, Attention
from interp_rc.measures.base import MeasureContext, run_measure
from interp_rc.measures.lens import section as lens_report
from interp_rc.measures.lens.measure import ATTRIBUTION, LENS, Lens, add_stages
from interp_rc.records.errors import DataError
from interp_rc.records.estimates import Estimates
from interp_rc.records.files import write_parquet, write_yaml
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Run
from interp_rc.records.seeds import derive_seed
from interp_rc.tools.attribution.logit_attribution import logit_attribution
from interp_rc.tools.patching.attention_cut import cut_costs
from interp_rc.tools.readout.attention import attention
from interp_rc.tools.readout.logit_lens import logit_lens
from tests.conftest import drawn, untaught
from tests.measures.patching_map.test_measure import answers

pytestmark = pytest.mark.slow

TOLD = {"forward": "trained_forward", "backward": "trained_backward"}


@pytest.fixture(scope="module")
def facts():
    return fictitious_people(0, per_group=6, training_templates=2, held_out_templates=4)


def prepared(folder, facts):
    run = Run(folder)
    write_yaml(run.config_file, {"seed": 3, "name": "lens", "measures": [{"kind": "lens"}]})
    write_facts(facts, run.facts)
    table = answers(facts, lambda q: q.direction != "reverse" and not q.fact.endswith(".5"))
    write_parquet(run.folder / "evaluation/answers.parquet", table)
    return run


@pytest.fixture(scope="module")
def measured(facts, tokenizer, tmp_path_factory):
    run, model = (
        prepared(tmp_path_factory.mktemp("lens"), facts),
        untaught(tokenizer, "llama", context=160),
    )
    return (
        run,
        model,
        run_measure(Lens(), MeasureContext(run, model)),
        run_measure(Attention(), MeasureContext(run, model)),
    )


def contrasts_of(run, facts, measure):
    return learnt_contrasts(facts, run.table("evaluation/answers"), 2, derive_seed(3, measure))


def mean_over_facts(pairs, values):
    return pd.Series(values).groupby([c.fact for c in pairs]).mean().mean()


def test_pairs_are_disjoint_and_asked_both_ways(facts, measured):
    """Five learnt facts make two pairs; which, by the circle that the contrasts go round."""
    run = measured[0]
    some = contrasts_of(run, facts, "lens")
    found = paired(some)
    for order in ("forward", "backward"):
        for group in ("both", "trained_forward"):
            mine = [c for c in found if c.order == order and c.fact.startswith(group)]
            assert len(mine) == 2 * 2 * 2  # pairs, ways, templates
            asked = {}
            for c in mine:
                own = c.id.removesuffix("|swapped")
                two = own.split("/")[0], own.rpartition("|")[2]
                asked.setdefault(two, []).append(c.clean)
                assert c.fact == two[0]
            assert len({fact for two in asked for fact in two}) == 4
            assert all(len(set(prompts)) == 4 for prompts in asked.values())
    assert {c.id for c in found if not c.id.endswith("|swapped")} <= {c.id for c in some}


def mean_over_pairs(pairs, values):
    return pd.Series(list(values)).groupby([c.fact for c in pairs]).mean()


def test_estimates_are_means_over_pairs(measured, facts):
    run, model, found, _ = measured
    some = [c for c in paired(contrasts_of(run, facts, "lens")) if c.order == "backward"]
    some = [c for c in some if c.fact.startswith("both")]
    name = "logit_lens.backward.both.answer.resid_post.layer_0"
    table = logit_lens(model, some).query("site == 'resid_post' and layer == 0")
    table = table[table.place == "answer"]
    ahead = mean_over_pairs(some, table.log_prob - table.foil_log_prob)
    estimate = found.estimates[f"{name}.over_foil"]
    assert (estimate.value, estimate.n) == (pytest.approx(ahead.mean(), abs=1e-3), 2)
    own = mean_over_pairs(some, table.log_prob)
    assert found.estimates[f"{name}.log_prob"].value == pytest.approx(own.mean(), abs=1e-3)
    assert found.estimates[f"{name}.first"].value == 0
    # Read from the embedding, both prompts of a pair are the same where they end alike.
    start = found.estimates["logit_lens.backward.both.answer.resid_pre.layer_0.over_foil"]
    assert start.value == pytest.approx(0, abs=1e-3)
    assert {t.p_adjusted for t in found.tests if "resid_pre" in t.name} == {1.0}


def test_parts_are_means_over_pairs_and_add_up(measured, facts):
    run, model, found, _ = measured
    some = [c for c in paired(contrasts_of(run, facts, "lens")) if c.order == "forward"]
    some = [c for c in some if c.fact.startswith("both")]
    name = "logit_attribution.forward.both"
    table = logit_attribution(model, some)
    for against in ("foil", "vocabulary"):
        rows = table[(table.against == against) & (table.site == "mlp_out")]
        expected = mean_over_pairs(some, rows[rows.layer == 1].effect).mean()
        estimate = found.estimates[f"{name}.{against}.mlp_out.layer_1"]
        assert estimate.value == pytest.approx(expected, abs=1e-4)
    mine = {n: e.value for n, e in found.estimates.items() if n.startswith(f"{name}.foil.")}
    parts = [v for n, v in mine.items() if n.split(".")[4] not in ("attn_out", "total")]
    assert sum(parts) == pytest.approx(mine[f"{name}.foil.total"], abs=1e-4)
    assert found.estimates["logit_attribution.residual"].value < 1e-4
    tested = {t.name for t in found.tests if t.name.startswith(name)}
    assert len(tested) == 2 * (2 + 1)  # layers, heads and MLP


def test_attention_and_cuts_are_means_over_facts(measured, facts):
    run, model, _, found = measured
    some = [c for c in contrasts_of(run, facts, "attention") if c.order == "backward"]
    some = [c for c in some if c.fact.startswith("trained_forward")]
    table = attention(model, some).query("layer == 1 and query == 'answer' and keys == 'first'")
    per_pair = table.groupby("pair", sort=False)[["weight", "norm_share"]].mean()
    for column in per_pair:
        name = f"attention.backward.trained_forward.answer.first.layer_1.{column}"
        expected = mean_over_facts(some, per_pair[column].to_numpy())
        assert found.estimates[name].value == pytest.approx(expected, abs=1e-6)
    costs = cut_costs(model, some, seed=derive_seed(3, "attention"))
    for keys in ("source", "others"):
        rows = costs[(costs["keys"] == keys) & (costs.layer == -1)]
        for suffix, column in (("", "cost"), (".over_foil", "over_foil")):
            name = f"attention_cut.backward.trained_forward.{keys}.all{suffix}"
            expected = rows.groupby("fact")[column].mean().mean()
            assert found.estimates[name].value == pytest.approx(expected, abs=1e-4)
    whole = [t for t in found.tests if t.name.endswith(".all")]
    assert len(whole) == 6
    assert {t.correction for t in whole} == {"holm"}


def test_the_sections(measured):
    run, _, lens, look = measured
    part = drawn(lens_report.section(run, lens))
    assert part.sentence.count("the answer of facts told that way") == 2
    assert len(part.tables[0].rows) == 6
    for order, group in TOLD.items():  # chosen in the first template, measured in the second
        table = run.table(ATTRIBUTION)
        rows = table[(table.against == "foil") & table.site.isin(["z", "mlp_out"])]
        rows = rows[(rows.order == order) & (rows.group == group)].fillna({"head": -1})
        first, second = rows.template.drop_duplicates()
        keys = ["site", "layer", "head"]
        site, layer, head = rows[rows.template == first].groupby(keys).effect.mean().idxmax()
        there = rows[(rows.template == second) & (rows.site == site) & (rows.layer == layer)]
        value = there[there["head"] == head].groupby("fact").effect.mean().mean()
        best = lens_report.writer(lens, order)
        assert best.of[group].value == pytest.approx(value)
        assert best.name == (
            f"MLP {layer}" if site == "mlp_out" else f"head {head} of layer {layer}"
        )
        chosen = look.estimates.where(part="attention_cut", order=order, reading="chosen")
        costs = run.table(COSTS).query("keys == 'source' and layer != -1")
        costs = costs[(costs.order == order) & (costs.group == group)]
        first, second = costs.template.drop_duplicates()
        by_layer = costs[costs.template == first].groupby("layer").over_foil.mean()
        assert chosen.each("layer") == [by_layer.idxmax()]
        there = costs[(costs.template == second) & (costs.layer == by_layer.idxmax())]
        elsewhere = look.estimates[f"attention_cut.{order}.{group}.source.elsewhere.over_foil"]
        assert elsewhere.value == pytest.approx(there.groupby("fact").over_foil.mean().mean())
        heads = run.table(WEIGHTS).query("query == 'answer' and keys == 'source'")
        heads = heads[(heads.order == order) & (heads.group == group)]
        assert look.estimates[
            f"attention.{order}.{group}.answer.source.all.weight"
        ].value == pytest.approx(heads.groupby("fact").weight.mean().mean())
        ranked = heads[heads.template == first].groupby(["layer", "head"]).norm_share.mean()
        for rank, place in enumerate(ranked.nlargest(3).index, 1):
            of = {"part": "attention", "order": order, "rank": rank}
            [head] = look.estimates.where(**of, reading="chosen").rows
            assert (head.of["layer"], head.of["head"]) == place
            there = heads[(heads.template == second) & (heads.layer == place[0])]
            value = there[there["head"] == place[1]].groupby("fact").norm_share.mean().mean()
            share = look.estimates.of(**of, reading="elsewhere", quantity="norm_share")
            assert share.value == pytest.approx(value)
    part = drawn(attention_report.section(run, look))
    assert part.sentence.count("cut off from it in every layer") == 2
    assert part.sentence.count("other tokens instead of") == 2
    for name in ("lens", "attention"):
        assert (run.figures / f"{name}.dark.svg").is_file()
    assert run.table(LENS).pair.str.endswith("|swapped").mean() == 0.5
    assert set(run.table(COSTS).layer) == {-1, 0, 1}
    assert np.isfinite(run.table(WEIGHTS).weight).all()


def test_the_stage_from_which_an_answer_is_ahead(measured):
    """From the first stage after which all tell it apart; a lost lead does not count."""
    run, _, lens, _ = measured
    turn = [("resid_pre", 0), *((s, n) for n in (0, 1) for s in ("resid_mid", "resid_post"))]
    names = [f"logit_lens.forward.trained_forward.{s}.layer_{n}.answer" for s, n in turn]
    own = {t.name: t for t in lens.tests}
    cases = {
        "00000": "is never ahead",
        "00011": "from attention 1 on",
        "01011": "from attention 1 on",
        "01111": "from attention 0 on",
    }
    for ahead, said in cases.items():
        tests = []
        for name, one in zip(names, ahead, strict=True):
            tests.append(own[name].__class__(name, "t", 1.0, 0.0, 1.0 - int(one), "x", 0.0, 2))
        leads = Estimate(1.0, 0.5, 1.5, 2, "nat")
        made = Estimates(
            rows=[
                row._replace(estimate=leads) if row.of.get("quantity") == "over_foil" else row
                for row in lens.estimates.rows
                if row.of.get("reading") not in ("ahead_from", "likeliest_after")
            ]
        )
        add_stages(made, run.table(LENS), tests)
        assert said in lens_report.sentence(lens.__class__(made), "forward")


def test_layers_whose_attention_and_mlp_work_side_by_side(facts, tokenizer, tmp_path):
    """No stage between the two, but both write."""
    run = prepared(tmp_path, facts)
    found = run_measure(Lens(), MeasureContext(run, untaught(tokenizer, "gpt_neox", context=160)))
    assert not any(".resid_mid." in name for name in found.estimates)
    assert "logit_attribution.forward.both.foil.attn_out.layer_1" in found.estimates
    panels = [lens_report.panel(found, "forward", lens) for lens in (True, False)]
    [read, wrote] = [[e.value is not None for e in p.lines[0].estimates] for p in panels]
    assert read == [True, False, True, False, True]
    assert all(wrote)


def test_nothing_learnt_is_said(facts, tokenizer, tmp_path):
    run = Run(tmp_path)
    write_yaml(run.config_file, {"seed": 3, "measures": [{"kind": "lens"}]})
    write_facts(facts, run.facts)
    write_parquet(run.folder / "evaluation/answers.parquet", answers(facts, lambda q: False))
    model = untaught(tokenizer, "llama", context=160)
    for measure, report in ((Lens(), lens_report), (Attention(), attention_report)):
        found = run_measure(measure, MeasureContext(run, model))
        assert found.tables == []
        assert "nothing to see" in report.section(run, found).sentence


def test_too_few_templates_are_refused():
    few = fictitious_people(0, per_group=2, training_templates=2, held_out_templates=3)
    for measure in (Lens, Attention):
        measure().check(few)
        with pytest.raises(DataError, match="needs 3 in the other half"):
            measure(templates=3).check(few)
