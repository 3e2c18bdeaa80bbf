"""Facts erased three ways: what is asked, what is changed, and that nothing of it stays."""

import numpy as np
import pandas as pd
import pytest
import torch

from interp_rc.engine.inputs import read_inputs
from interp_rc.measures.erasure.ablation import (
    fewest,
    known_without,
    mean_neurons,
    ranked_neurons,
)
from interp_rc.measures.erasure.asking import cases, items_of, knows, scorer
from interp_rc.measures.erasure.damage import METHODS, damage_table
from interp_rc.measures.erasure.descent import descended, lead_of, mlp_weights, odds_gradient
from interp_rc.measures.erasure.verdict import control, damages, ratio, together, verdict
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.records.errors import DataError, ScoringError
from interp_rc.records.nouns import ORDERS
from interp_rc.records.numbers import Estimate
from tests.engine.hooked import Loop, blocks
from tests.engine.tiny import precise


@pytest.fixture(scope="module")
def asked(told):
    """Six facts, erased in the one template of an order and asked in the other."""
    templates = {}
    for order in ORDERS:
        first, second = dict.fromkeys(q.template for q in told.queries if q.order == order)
        templates[order] = [first], [second]
    facts = [fact.id for fact in told.facts][:6]
    return {order: cases(told.queries, facts, order, templates, 0) for order in ORDERS}


def frozen(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(before, model):
    after = model.state_dict()
    return all(torch.equal(value, after[name]) for name, value in before.items())


def down_of(mlp):
    names = ("c_proj", "down_proj", "dense_4h_to_h")
    return next(getattr(mlp, name) for name in names if hasattr(mlp, name))


def test_nobody_is_compared_with_the_erased_fact_or_its_partner(asked):
    for order, some in asked.items():
        for case in some:
            [contrast] = case.contrasts
            answers = {one.target for one in (contrast, *(q.query for q in case.of("cross")))}
            partner = contrast.foil
            for one in case.questions:
                assert (one.query.order == order) == (not one.role.startswith("cross"))
                assert one.query.target not in one.foils
                if one.role != "erasing":
                    assert partner not in one.foils
                    assert (one.query.fact == case.fact) == (not one.role.endswith("floor"))
                if one.role.endswith("floor"):
                    assert not answers & {*one.foils, one.query.target}
                    assert one.visitor in answers
            erasing = {one.query.template for one in case.of("erasing")}
            assert not erasing & {one.query.template for one in case.of("own")}


def test_too_few_facts_are_refused(told, asked):
    templates = {order: (["none"], ["none"]) for order in ORDERS}
    facts = [fact.id for fact in told.facts]
    with pytest.raises(DataError, match="takes 4 of a group, found 3"):
        cases(told.queries, facts[:3], "forward", templates, 0)
    with pytest.raises(DataError, match="not asked in template none"):
        cases(told.queries, facts, "forward", templates, 0)


def test_what_is_known_is_what_a_loop_finds(tiny, asked):
    case, loop = asked["forward"][1], Loop(tiny)
    known = knows(scorer(tiny), case.questions)
    for n, one in enumerate(case.questions):
        prompt = one.query.prompt
        foils = np.mean([loop.log_prob(prompt, foil) for foil in one.foils])
        own = loop.log_prob(prompt, one.query.target)
        assert known.log_prob[n] == pytest.approx(own, abs=1e-4)
        assert known.lead[n] == pytest.approx(own - foils, abs=1e-4)
        if one.visitor is None:
            assert np.isnan(known.visiting[n])
        else:
            wrong = loop.log_prob(prompt, one.visitor)
            assert known.visiting[n] == pytest.approx(wrong - foils, abs=1e-4)


def test_neurons_are_averaged_where_the_prompt_is(tiny, asked):
    """Each case with its own neurons in one batch, against one text at a time."""
    adapter, some, loop = Adapter(tiny.model), asked["backward"][:2], Loop(tiny)
    order, means = ranked_neurons(tiny, some), mean_neurons(tiny, adapter, some)
    layers = adapter.layers
    neurons = order.shape[1] // layers
    masks = torch.zeros(len(some), layers * neurons, dtype=torch.bool)
    for n in range(len(some)):
        masks[n, order[n, :20]] = True
    masks = masks.view(len(some), layers, neurons)
    questions = [case.questions for case in some]
    for n, known in enumerate(known_without(tiny, adapter, questions, masks, means)):
        for i, one in enumerate(questions[n]):
            found = loop.log_prob(
                one.query.prompt,
                one.query.target,
                [
                    averaging(down_of(mlp), masks[n, layer], means[layer], start(loop, one))
                    for layer, (_, _, mlp, _) in enumerate(blocks(tiny.model))
                ],
            )
            assert known.log_prob[i] == pytest.approx(found, abs=1e-4)
    plain = knows(scorer(tiny), questions[0]).log_prob
    assert (
        np.abs(known_without(tiny, adapter, questions, masks, means)[0].log_prob - plain).max()
        > 0.01
    )


def start(loop, question):
    return loop.ids(question.query.prompt, question.query.target)[1]


def averaging(down, mask, mean, before):
    def hook(module, args):
        value = args[0].clone()
        value[:, :before, mask] = mean[mask].to(value)
        return (value,)

    return lambda: down.register_forward_pre_hook(hook)


def test_means_are_over_all_tokens_of_the_prompts(tiny, asked):
    some, loop = asked["forward"][:2], Loop(tiny)
    texts = {(q.query.prompt, q.query.target) for case in some for q in case.questions}
    down = down_of(blocks(tiny.model)[1][2])
    kept = []
    for prompt, target in texts:
        at = loop.ids(prompt, target)[1]
        handle = down.register_forward_pre_hook(lambda m, a, at=at: kept.append(a[0][0, :at]))
        loop.log_prob(prompt, target)
        handle.remove()
    found = mean_neurons(tiny, Adapter(tiny.model), some)[1]
    assert torch.allclose(found, torch.cat(kept).double().mean(0), atol=1e-6)


def test_numbers_of_neurons_are_the_fewest():
    needed = [1, 8, 9, 100, 10_000]

    def reached(numbers, ks):
        return [k >= needed[n] for n, k in zip(numbers, ks, strict=True)]

    ks, enough = fewest(reached, 5, 256)
    assert enough == [True, True, True, True, False]
    assert ks[4] == 256
    for k, least in zip(ks[:4], needed[:4], strict=True):
        assert least <= k <= max(1.1 * least, least + 1)


@pytest.mark.parametrize("shape", ["llama", "gpt2"])
def test_the_gradient_is_that_of_finite_differences(taught, asked, shape):
    model = precise(taught, shape)
    questions = asked["forward"][0].of("erasing") + asked["forward"][1].of("erasing")
    inputs = read_inputs(
        model, [q.query.prompt for q in questions], [q.query.target for q in questions]
    )
    weights = mlp_weights(model)
    for weight in weights:
        weight.requires_grad_(True)
    gradient = odds_gradient(model, inputs, weights)
    loop = Loop(model)

    def odds():
        found = [loop.log_prob(q.query.prompt, q.query.target) for q in questions]
        return np.mean([p - np.log(-np.expm1(p)) for p in found])

    draw = torch.Generator().manual_seed(0)
    along = [torch.randn(w.shape, generator=draw, dtype=w.dtype) for w in weights]
    ends = []
    with torch.no_grad():
        for step in (1e-5, -2e-5):
            for weight, one in zip(weights, along, strict=True):
                weight.add_(one, alpha=step)
            ends.append(odds())
    slope = sum(float((g * one).sum()) for g, one in zip(gradient, along, strict=True))
    assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(slope, rel=1e-5)


def learnt(asked, model):
    """A case that the model knows something of."""
    some = [case for one in asked.values() for case in one]
    return max(some, key=lambda case: knows(scorer(model), case.of("erasing")).lead.mean())


def test_unlearning_goes_as_far_as_it_should_and_leaves_no_trace(tiny, asked):
    case, before = learnt(asked, tiny), frozen(tiny.model)
    needed = [p.requires_grad for p in tiny.model.parameters()]
    weights = mlp_weights(tiny)
    start = knows(scorer(tiny), case.of("erasing")).lead.mean()
    with descended(tiny, case, 0.5, weights) as (steps, reached):
        lead = knows(scorer(tiny), case.of("erasing")).lead.mean()
        inputs = read_inputs(tiny, *items_of(case.of("erasing")))
        assert lead == pytest.approx(lead_of(tiny, case.of("erasing"), inputs), abs=1e-4)
        changed = {n for n, v in tiny.model.state_dict().items() if not torch.equal(v, before[n])}
    assert reached
    assert steps >= 1
    assert lead / start == pytest.approx(0.5, abs=0.08)
    assert changed
    assert all("mlp" in name for name in changed)
    assert same(before, tiny.model)
    assert [p.requires_grad for p in tiny.model.parameters()] == needed
    with pytest.raises(RuntimeError), descended(tiny, case, 0.5, weights):
        raise RuntimeError
    assert same(before, tiny.model)


@pytest.mark.slow
def test_the_table_holds_what_each_way_costs(tiny, told, asked):
    case = learnt(asked, tiny)
    some = [case, *(one for one in asked[case.order] if one is not case)][:2]
    before = frozen(tiny.model)
    table = damage_table(tiny, some, [d.text for d in told.documents], 0.5)
    assert same(before, tiny.model)
    assert len(table) == 2 * len(METHODS) * 5
    assert np.isfinite(table.drop(columns="elsewhere").select_dtypes(float)).all().all()
    mine = table[(table.fact == case.fact) & (table.method == "gradient")].set_index("role")
    old = knows(scorer(tiny), case.of("cross"))
    with descended(tiny, case, 0.5, mlp_weights(tiny)):
        new = knows(scorer(tiny), case.of("cross"))
    assert mine.damage["cross"] == pytest.approx((old.lead - new.lead).mean(), abs=1e-5)
    assert mine.lost["cross"] == pytest.approx((old.log_prob - new.log_prob).mean(), abs=1e-5)
    assert mine.lead["cross"] == pytest.approx(old.lead.mean(), abs=1e-5)
    where = table[(table.fact == case.fact) & (table.role == "erasing")].set_index("method")
    for method in METHODS:  # ablation in whole neurons: no less than it should be
        if where.reached[method]:
            assert where.damage[method] >= 0.45 * where.lead[method]


def test_masked_models_are_refused(taught, asked):
    with pytest.raises(ScoringError, match="fills in masks"):
        damage_table(precise(taught, "bert"), asked["forward"], ["a text"], 0.5)


def made_up(own, cross, floor=(0.5, 0.25), lead=10.0):
    rows = []
    for n, (a, b) in enumerate(zip(own, cross, strict=True)):
        values = {"erasing": 2 * a, "own": a, "cross": b, "own_floor": floor[0]}
        values["cross_floor"] = floor[1]
        rows += [
            {"fact": str(n), "role": role, "damage": value, "lead": lead + n % 3}
            for role, value in values.items()
        ]
    return pd.DataFrame(rows)


CHECKED = Estimate(0.9, 0.7, 1.1, 4, "ratio")


def test_ratios_by_hand():
    table = made_up([4.0, 5.0, 6.0, 5.5], [1.0, 1.5, 0.5, 1.25])
    found = ratio(table, 0)
    assert found.value == pytest.approx((1.0625 - 0.25) / (5.125 - 0.5))
    assert control(table, 0).value == pytest.approx((5.125 - 0.5) / (10.25 - 0.5))
    assert damages(table)["cross"] == pytest.approx([0.75, 1.25, 0.25, 1.0])
    assert verdict(found, CHECKED) == "two stores"
    assert verdict(ratio(made_up([4, 5, 6, 5], [4, 4.5, 6, 5]), 0), CHECKED) == "one store"
    assert verdict(ratio(made_up([4, 5, 6, 5], [4, 0.1, 0.2, 5]), 0), CHECKED) == "inconclusive"
    for failed in (Estimate(0.6, 0.4, 0.8, 4, "ratio"), Estimate(None, None, None, 4, "ratio")):
        assert verdict(found, failed) == "inconclusive"


def test_no_ratio_where_there_is_nothing_to_lose():
    table = made_up([4, 5, 6, 5], [0.3, 0.2, 0.1, 0.3], lead=-1.0)
    assert ratio(table, 0).value is None
    assert ratio(made_up([-1, 1.2, 2, 0.1], [0, 0, 0, 1]), 0).value is None


def test_all_together_say_what_most_say():
    assert together(["one store", "one store", "two stores"]) == "one store"
    assert together(["one store", "two stores"]) == "inconclusive"
    assert together(["two stores", "inconclusive", "inconclusive"]) == "inconclusive"
    assert together(["two stores", "inconclusive", "two stores"]) == "two stores"
    assert verdict(Estimate(None, None, None, 3, "ratio"), CHECKED) == "inconclusive"


def test_facts_of_one_ratio_say_what_that_ratio_says():
    alike = made_up([4, 5, 6, 5], [4, 5, 6, 5], floor=(0.0, 0.0))
    found = verdict(ratio(alike, 0), CHECKED)
    assert (ratio(alike, 0).low, found) == (None, "one store")
    assert verdict(Estimate(0.0, None, None, 4, "ratio"), CHECKED) == "two stores"
    assert verdict(Estimate(1.0, 0.9, 1.1, 4, "ratio"), Estimate(0.2, None, None, 4, "ratio")) == (
        "inconclusive"
    )
