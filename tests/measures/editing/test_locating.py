"""Correlations and explained variance against peers and by construction."""

import copy

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
import torch
from scipy.stats import spearmanr

from interp_rc.facts.folder import read_facts
from interp_rc.measures.editing.asked import ask, questions
from interp_rc.measures.editing.cases import Known, cases_of
from interp_rc.measures.editing.locating import (
    explained,
    located,
    over_layers,
    predicted,
    transplanted,
    with_success,
    within_layers,
)
from interp_rc.models.load import load


def made(seed=0, facts=12, layers=4):
    """Success is the layer's, with a slope on the effect and noise."""
    draw = np.random.default_rng(seed)
    rows = [
        {"fact": f"f{n}", "order": "forward", "group": "both", "layer": layer, "by": "tracing"}
        for n in range(facts)
        for layer in range(layers)
    ]
    table = pd.DataFrame(rows).assign(effect=draw.normal(size=len(rows)))
    noise = draw.normal(size=len(rows))
    return table.assign(success=3.0 * table.layer + 0.5 * table.effect + noise)


def test_shares_of_variance_are_those_of_a_linear_model():
    table = made()
    alone = smf.ols("success ~ C(layer)", table).fit().rsquared
    more = smf.ols("success ~ C(layer) + effect", table).fit().rsquared
    assert explained(table) == pytest.approx((alone, (more - alone) / (1 - alone)))
    assert explained(table.assign(effect=1.0)) == pytest.approx((alone, 0.0))


def test_correlations_of_ranks_are_spearman_s():
    table = made()
    each = [spearmanr(rows.effect, rows.success).statistic for _, rows in table.groupby("fact")]
    np.testing.assert_allclose(np.sort(over_layers(table)), np.sort(each))
    each = [spearmanr(rows.effect, rows.success).statistic for _, rows in table.groupby("layer")]
    assert within_layers(table).mean() == pytest.approx(np.mean(each))


def test_what_does_not_vary_has_no_correlation():
    table = made().assign(effect=1.0)
    assert len(over_layers(table)) == len(within_layers(table)) == 0
    assert set(predicted(table, 0)) == {
        "editing.located.layer_alone",
        "editing.located.tracing.within_variance",
    }


def test_intervals_hold_what_was_made():
    found = predicted(made(facts=30), 0)
    assert found["editing.located.tracing.within_layers"].low > 0
    within, alone = (
        found["editing.located.tracing.within_variance"],
        found["editing.located.layer_alone"],
    )
    # A slope of a half on what has variance one, beside noise of variance one: a fifth
    assert 0 < within.low < 0.2 < within.high < 0.5
    assert within.low < within.value < within.high
    assert alone.low < alone.value < alone.high
    assert alone.value > 0.8
    assert within.n == 30


def test_layers_that_nothing_can_reach_are_left_out():
    where = made().drop(columns="success").assign(structural_zero=lambda t: t.layer == 3)
    edits = made().assign(edit="one_way", asked="paraphrase")
    edits["value"] = edits.success
    found = with_success(where, edits.drop(columns="success"))
    assert set(found.layer) == {0, 1, 2}
    expected = made()[lambda t: t.layer < 3].success.to_numpy()
    np.testing.assert_allclose(found.success.to_numpy(float), expected)


@pytest.fixture(scope="module")
def here(learnt_run):
    facts = read_facts(learnt_run.facts)
    cases = cases_of(facts, learnt_run.table("evaluation/answers"), 4, 0)[:4]
    models = load(learnt_run.base), load(learnt_run.model)
    return *models, Known(facts.queries), cases


def test_a_transplanted_mlp_is_the_finetuned_one(here):
    base, model, known, cases = here
    asked = {case: questions(model, known, case) for case in cases}
    weights = {name: one.clone() for name, one in base.model.state_dict().items()}
    table = transplanted(base, model, asked)
    assert all(torch.equal(weights[n], one) for n, one in base.model.state_dict().items())
    by_hand = copy.deepcopy(base)
    taken = model.model.model.layers[1].mlp.state_dict()
    by_hand.model.model.layers[1].mlp.load_state_dict(taken)
    case = cases[2]
    some = asked[case].about("old")
    expected = ask(by_hand, some)["old"].log_prob - ask(base, some)["old"].log_prob
    row = table[(table.fact == case.fact) & (table.order == case.order) & (table.layer == 1)]
    assert float(row.effect.iloc[0]) == pytest.approx(expected, abs=1e-5)
    assert abs(expected) > 1e-3


def test_every_case_is_located_in_every_layer(here):
    _, model, known, cases = here
    table = located(model, known, cases, 0)
    layers = model.model.config.num_hidden_layers
    assert table.groupby("by").size().to_dict() == dict.fromkeys(
        ("tracing", "tracing_stream", "tracing_source", "patching_source"), len(cases) * layers
    )
    assert table[table.layer == layers - 1].structural_zero.all()
    assert not table[table.layer == 0].structural_zero.any()
