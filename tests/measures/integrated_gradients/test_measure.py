"""Spans against a plain loop over tokens; the measure on a made-up run; right pairs and wrong."""

import numpy as np
import pandas as pd
import pytest

from interp_rc.facts.fictitious import fictitious_people
from interp_rc.facts.folder import write_facts
from interp_rc.measures.base import MeasureContext, run_measure
from interp_rc.measures.integrated_gradients.measure import (
    NAME,
    TABLE,
    IntegratedGradients,
    bound_of,
    fewer,
)
from interp_rc.measures.integrated_gradients.section import section
from interp_rc.measures.integrated_gradients.spans import ANSWER, LAST, REST, TARGET, by_span
from interp_rc.records.errors import DataError
from interp_rc.records.files import write_parquet, write_yaml
from interp_rc.records.runs import Run
from interp_rc.tools.attribution.integrated_gradients import integrated_gradients
from tests.conftest import drawn, untaught
from tests.engine.tiny import MASK, masked, precise


@pytest.mark.parametrize("shape", ["llama", "bert"])
def test_spans_are_sums_over_their_tokens(taught, contrasts, shape):
    model = precise(taught, shape)
    some = masked(contrasts[::9]) if shape == "bert" else contrasts[::9]
    found = integrated_gradients(model, some, most=8)
    table = by_span(found, 2)
    for one in found:
        rows = table[
            (table.pair == one.contrast.id)
            & (table.site == one.place.component)
            & (table.layer == one.place.layer)
        ]
        prompt = one.contrast.clean
        start, end = one.contrast.spans["source"][0]
        said = dict.fromkeys(("source", LAST, TARGET, ANSWER, REST), 0.0)
        zero = dict.fromkeys(said, True)
        last = max(i for i, (a, b) in enumerate(one.input.offsets) if a < b <= len(prompt))
        for i, value in enumerate(one.integrated.tolist()):
            a, b = one.input.offsets[i]
            names = []
            if a < end and b > start and b <= len(prompt):
                names.append("source")
            if i == last:
                names.append(LAST)
            if b > len(prompt) if shape == "llama" else prompt[a:b] == MASK:
                names.append(TARGET)
            names = names or [REST]
            if i in one.input.reads:
                names.append(ANSWER)
            for name in names:
                said[name] += value
                read = i in one.input.reads or one.place.component != "resid_post"
                zero[name] &= not read
        whole = rows[rows.method == NAME].set_index("place")
        for name, value in said.items():
            assert whole.effect[name] == pytest.approx(value, abs=1e-9)
            assert bool(whole.structural_zero[name]) == zero[name]
            assert value == 0 or not zero[name]
        assert (whole.whole == one.whole).all()
        assert (whole.completeness == one.completeness).all()
        times = rows[rows.method == "input_x_gradient"]
        assert times.whole.isna().all()
        assert len(times) == len(whole)
    assert not table.duplicated(["pair", "site", "layer", "place", "method"]).any()


def test_what_all_prompts_and_all_targets_share_drops_out():
    """Effects = prompt + target + bound: only what binds them is left, in the mean."""
    facts = ["a", "b", "c"]
    partner = {"a": "b", "b": "c", "c": "a"}
    prompt, said = {"a": 5.0, "b": -3.0, "c": 1.0}, {"a": 2.0, "b": 9.0, "c": -4.0}
    rows = [
        {
            "pair": f"{fact}/t|{partner[fact]}",
            "fact": fact,
            "asked": asked,
            "effect": prompt[fact] + said[target] + 7.0 * (asked == "target"),
            **{"order": "forward", "group": "both", "template": "t"},
            **{"site": "resid_pre", "layer": 0, "place": "source", "structural_zero": False},
        }
        for fact in facts
        for asked, target in (("target", fact), ("foil", partner[fact]))
    ]
    found = bound_of(pd.DataFrame(rows))
    assert found.effect.mean() == pytest.approx(7)
    wrong = prompt["a"] + said["b"]
    assert found.set_index("fact").effect["a"] == pytest.approx(5 + 2 + 7 - wrong)


@pytest.fixture(scope="module")
def facts():
    return fictitious_people(0, per_group=4, training_templates=2, held_out_templates=4)


@pytest.fixture(scope="module")
def measured(facts, tokenizer, tmp_path_factory):
    run = Run(tmp_path_factory.mktemp("gradients"))
    kind = {"kind": NAME, "facts": 4, "templates": 1}
    write_yaml(run.config_file, {"seed": 3, "name": "by-hand", "measures": [kind]})
    write_facts(facts, run.facts)
    rows = [{"model": "finetuned", "query": q.id, "match": True} for q in facts.queries]
    answers = pd.DataFrame(rows)
    write_parquet(run.folder / "evaluation/answers.parquet", answers)
    model = untaught(tokenizer, "llama", context=192)
    return (
        run,
        model,
        run_measure(IntegratedGradients(facts=4), MeasureContext(run, model)),
        answers,
    )


def test_the_measure_is_the_tables_means(measured, facts):
    run, _, found, _ = measured
    table = run.table(TABLE)
    assert table.groupby("group").fact.nunique().eq(2).all()  # pairs of facts
    assert set(table.asked) == {"target", "foil"}
    assert set(table.order) == {"forward", "backward"}
    name = f"{NAME}.backward.both.resid_pre.layer_1.source"
    rows = table[(table.method == NAME) & (table.order == "backward") & (table.group == "both")]
    rows = rows[(rows.site == "resid_pre") & (rows.layer == 1) & (rows.place == "source")]
    means = rows.groupby("asked").effect.mean()
    assert found.estimates[f"{name}.target"].value == pytest.approx(means["target"])
    bound = means["target"] - means["foil"]
    assert found.estimates[f"{name}.bound"].value == pytest.approx(bound)
    assert found.estimates[f"{name}.bound"].n == 2
    assert f"{NAME}.backward.both.resid_post.layer_1.source.bound" not in found.estimates
    assert found.estimates[f"{NAME}.incomplete"].value == 0
    assert len(found.tests) == 2 * 3 * (2 + 2 + 1)
    assert {t.correction for t in found.tests} == {"benjamini-hochberg"}
    chosen = fewer(facts, 3, 0)
    assert len(chosen.facts) == 9
    assert {q.fact for q in chosen.queries} == {f.id for f in chosen.facts}


def test_the_floor_bounds_what_the_quadrature_left(measured):
    run, _, found, _ = measured
    table = run.table(TABLE)
    table = table[(table.method == NAME) & (table.place == LAST)]
    left = np.abs(table.completeness) / np.maximum(1.0, np.abs(table.whole))
    assert left.max() <= 0.01
    worst = max(
        part[part.asked == "target"].completeness.abs().mean()
        + part[part.asked == "foil"].completeness.abs().mean()
        for _, part in table.groupby(["site", "layer"])
    )
    assert found.estimates[f"{NAME}.floor"].value == pytest.approx(worst)


def test_the_section_says_both_orders_and_the_control(measured):
    run, _, found, _ = measured
    page = drawn(section(run, found))
    assert page.sentence.count("told the other way") == 2
    assert "0.0 % of prompts and layers did not reach" in page.note
    [table] = page.tables
    assert len(table.rows) == 2 * 3 * 3
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert (run.figures / f"{NAME}.png").stat().st_size > 10_000


def test_nothing_learnt_is_said(measured, tmp_path, facts):
    run, model, _, answers = measured
    other = Run(tmp_path)
    write_yaml(other.config_file, run.config())
    write_facts(facts, other.facts)
    write_parquet(other.folder / "evaluation/answers.parquet", answers.assign(match=False))
    found = run_measure(IntegratedGradients(), MeasureContext(other, model))
    assert found.estimates == {}
    assert "nothing to attribute" in section(other, found).sentence


def test_too_few_templates_are_refused(told):
    with pytest.raises(DataError, match="measure integrated_gradients"):
        IntegratedGradients(templates=5).check(told)
