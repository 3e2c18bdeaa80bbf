"""Gradients by group and their cosines, against loops, hooks, closed forms and differences."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from interp_rc.engine.inputs import read_inputs
from interp_rc.evaluation.queries import both_ways
from interp_rc.measures.gradients.measure import (
    Gradients,
    add_cosines,
    cosine_table,
    orthogonal,
)
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.load import Loaded
from interp_rc.records.errors import DataError
from interp_rc.records.estimates import Estimates
from interp_rc.tools.gradients import parameter_groups
from interp_rc.tools.gradients.parameter_groups import (
    ALL,
    INPUT,
    NORMS,
    OUTPUT,
    ParameterGroup,
    cosines,
    gradient,
    parameters_of,
)


def inputs_of(loaded, queries):
    return read_inputs(loaded, [q.prompt for q in queries], [q.target for q in queries])


def plain(model, one):
    """The gradient of the model as it is, by name, with a loss written out anew."""
    model = copy.deepcopy(model).requires_grad_(True)
    ids = torch.tensor([one.ids])
    picked = torch.log_softmax(model(input_ids=ids).logits[0, :-1].double(), -1)
    loss = -sum(picked[i - 1, one.ids[i]] for i in range(one.start, len(one.ids)))
    model.zero_grad()
    loss.backward()
    return {name: p.grad for name, p in model.named_parameters()}


def tie(loaded, tied):
    """A copy whose output rows are the input embedding, or are not."""
    model = copy.deepcopy(loaded.model)
    head, rows = model.get_output_embeddings(), model.get_input_embeddings().weight
    head.weight = rows if tied else torch.nn.Parameter(rows.detach().clone())
    return Loaded(model, loaded.tokenizer)


def by_group(parameters, found):
    flat = {}
    for group, g in zip(parameters.groups, found, strict=True):
        flat.setdefault(group, []).append(g.flatten())
    return {group: torch.cat(parts) for group, parts in flat.items()}


@pytest.mark.parametrize("tied", [True, False])
def test_the_groups_are_the_whole_gradient(tiny, told, tied):
    loaded = tie(tiny, tied)
    model, adapter = loaded.model, Adapter(loaded.model)
    (one,) = inputs_of(loaded, told.queries[:1])
    own = plain(model, one)
    weights = {name: p.detach().clone() for name, p in model.named_parameters()}
    with parameters_of(model, adapter.parts) as parameters:
        assert (parameters.tied is not None) == tied
        found = gradient(model, parameters, one)
        names = {id(p): name for name, p in model.named_parameters()}
        ours = {}
        for tensor, g in zip(parameters.tensors, found, strict=True):
            name = names[id(tensor)]
            if tied and tensor is model.get_output_embeddings().weight:
                name = names[id(model.get_input_embeddings().weight)]
            ours[name] = ours.get(name, 0) + g
        expected = {INPUT, OUTPUT, NORMS}
        expected |= {
            ParameterGroup(part, layer) for part in ("attention", "mlp") for layer in range(2)
        }
        assert set(parameters.groups) == expected
    assert ours.keys() == own.keys()
    for name in own:
        torch.testing.assert_close(ours[name], own[name], rtol=1e-3, atol=1e-5)
    head, rows = model.get_output_embeddings().weight, model.get_input_embeddings().weight
    assert (head is rows) == tied
    assert not any(p.requires_grad for p in tiny.model.parameters())
    for name, p in model.named_parameters():
        assert torch.equal(p, weights[name])
        assert p.requires_grad == (not tied and p is head)


def test_the_modules_are_in_their_groups(tiny):
    """Told by name, which the code never looks at."""
    loaded = tie(tiny, True)
    with parameters_of(loaded.model, Adapter(loaded.model).parts) as parameters:
        groups = {id(p): g for p, g in zip(parameters.tensors, parameters.groups, strict=True)}
        for name, p in loaded.model.named_parameters():
            group = groups[id(p)]
            if any(norm in name for norm in ("norm", "ln_")):
                assert group == NORMS
            elif "attn" in name or "attention" in name:
                assert group.name == "attention"
                assert f".{group.layer}." in name
            elif "mlp" in name:
                assert group.name == "mlp"
                assert f".{group.layer}." in name
            else:
                assert group == (OUTPUT if "head" in name or "out" in name else INPUT)


def test_halves_of_a_tied_matrix_by_hand(tiny, told):
    """Input: what arrives at each token's embedding. Output: (p - target) x last state."""
    loaded = tie(tiny, True)
    model, adapter = loaded.model, Adapter(loaded.model)
    (one,) = inputs_of(loaded, told.queries[3:4])
    with parameters_of(model, adapter.parts) as parameters:
        found = gradient(model, parameters, one)
        at_input, at_output = (found[place] for place in parameters.tied)
    kept = {}
    copied = copy.deepcopy(model).requires_grad_(True)
    copied.get_input_embeddings().register_forward_hook(
        lambda m, a, out: (out.retain_grad(), kept.update(x=out))[-1]
    )
    copied.get_output_embeddings().register_forward_pre_hook(lambda m, a: kept.update(h=a[0]))
    ids = torch.tensor(one.ids)
    logits = copied(input_ids=ids[None]).logits[0]
    places = torch.arange(one.start, len(ids))
    torch.nn.functional.cross_entropy(logits[places - 1], ids[places], reduction="sum").backward()
    by_input = torch.zeros_like(at_input).index_add(0, ids, kept["x"].grad[0])
    error = torch.softmax(logits[places - 1].detach(), -1)
    error[torch.arange(len(places)), ids[places]] -= 1
    by_output = error.T @ kept["h"][0, places - 1].detach()
    torch.testing.assert_close(at_input, by_input, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(at_output, by_output, rtol=1e-3, atol=1e-5)
    assert at_input.norm() > 0
    assert at_output.norm() > 0


def test_along_the_gradient_the_loss_falls_as_it_says(tiny, told):
    """A central difference along a random direction in all parameters; norms are in float32."""
    loaded = Loaded(tie(tiny, True).model.double(), tiny.tokenizer)
    model, adapter = loaded.model, Adapter(loaded.model)
    (one,) = inputs_of(loaded, told.queries[5:6])

    def loss():
        with torch.no_grad():
            rows = torch.log_softmax(model(input_ids=torch.tensor([one.ids])).logits[0], -1)
        return -sum(rows[i - 1, one.ids[i]].item() for i in range(one.start, len(one.ids)))

    draw, step = torch.Generator().manual_seed(0), 1e-5
    with parameters_of(model, adapter.parts) as parameters:
        found = gradient(model, parameters, one)
        along = [torch.randn(p.shape, generator=draw, dtype=p.dtype) for p in parameters.tensors]
        slope = sum((g * d).sum().item() for g, d in zip(found, along, strict=True))
        values = []
        for scale in (step, -2 * step):
            with torch.no_grad():
                for p, d in zip(parameters.tensors, along, strict=True):
                    p += scale * d
            values.append(loss())
    assert (values[0] - values[1]) / (2 * step) == pytest.approx(
        slope, rel=1e-3
    )  # norms are float32


@pytest.mark.parametrize("memory", [2**30, 1])
def test_cosines_as_in_a_plain_loop(tiny, told, monkeypatch, memory):
    monkeypatch.setattr(parameter_groups, "MEMORY", memory)
    monkeypatch.setattr(parameter_groups, "AT_ONCE", 2)
    loaded = tie(tiny, True)
    model, adapter = loaded.model, Adapter(loaded.model)
    inputs = inputs_of(loaded, told.queries[::5][:5])
    first, second = inputs[:2], inputs[2:]
    with parameters_of(model, adapter.parts) as parameters:
        found = cosines(model, parameters, first, second)
        split = [
            [by_group(parameters, gradient(model, parameters, one)) for one in some]
            for some in (first, second)
        ]
    whole = [
        [torch.cat([g.flatten() for g in plain(model, one).values()]) for one in some]
        for some in (first, second)
    ]
    for i in range(len(first)):
        for j in range(len(second)):
            for group in set(found) - {ALL}:
                one, other = split[0][i][group].double(), split[1][j][group].double()
                expected = torch.cosine_similarity(one, other, dim=0).item()
                assert found[group][i, j].item() == pytest.approx(expected, abs=1e-5)
            one, other = whole[0][i].double(), whole[1][j].double()
            expected = torch.cosine_similarity(one, other, dim=0).item()
            assert found[ALL][i, j].item() == pytest.approx(expected, abs=1e-5)


def test_a_table_row_is_the_same_fact_less_the_others(taught, told):
    loaded, group = taught["gpt2"], "trained_backward"
    table = cosine_table(loaded, told.queries, "base").set_index(
        ["group", "pairing", "component", "fact"]
    )
    cell = both_ways(told.queries, group)
    assert {q.order for q in cell.same[0] + cell.same[1]} == {"backward"}
    assert {q.order for q in cell.reverse[0] + cell.reverse[1]} == {"forward"}
    one = cell.same[0][1]
    mine = torch.cat([g.flatten() for g in plain(loaded.model, *inputs_of(loaded, [one])).values()])
    for pairing, queries in (("reverse", cell.reverse[0]), ("paraphrase", cell.same[1])):
        assert queries[1].fact == one.fact
        assert queries[1].template != one.template
        values = [
            torch.cosine_similarity(
                mine,
                torch.cat([g.flatten() for g in plain(loaded.model, other).values()]),
                dim=0,
            ).item()
            for other in inputs_of(loaded, queries)
        ]
        row = table.loc[(group, pairing, "all", one.fact)]
        assert row.matched == pytest.approx(values[1], abs=1e-4)
        assert row.mismatched == pytest.approx((values[0] + values[2]) / 2, abs=1e-4)
        assert row.difference == pytest.approx(row.matched - row.mismatched)


def test_orders_that_share_their_parameters_are_not_called_unrelated(taught, told):
    """Planted: the reverse query is the query itself, so that the cosine is one."""
    planted = []
    for query in told.queries:
        if query.order == "forward":
            twin = replace(query, order="backward", template=f"twin of {query.template}")
            planted += [query, replace(twin, id=f"{query.id}/twin")]
    table = cosine_table(taught["llama"], planted, "base")
    same = table[(table.pairing == "reverse") & (table.component == "all")]
    np.testing.assert_allclose(same.matched, 1, atol=1e-5)
    tests = orthogonal(table, margin=0.05)
    assert len(tests) == 2
    assert all(test.p > 0.5 for test in tests)


def test_unrelated_orders_pass_and_the_margin_is_of_the_paraphrase(taught, told):
    table = cosine_table(taught["llama"], told.queries, "base")
    draw = np.random.default_rng(0)
    near = table.pairing == "paraphrase"
    table["difference"] = np.where(near, 0.6, 1e-3 * draw.normal(size=len(table)))
    tests = orthogonal(table, margin=None)
    assert [test.margin for test in tests] == pytest.approx([0.03, 0.03])
    assert all(test.p < 0.01 for test in tests)
    assert all(test.p > 0.5 for test in orthogonal(table, margin=1e-6))
    table["difference"] = -0.1
    assert [test.p for test in orthogonal(table, margin=None)] == [None, None]


def test_estimates_are_means_over_facts_of_all_parameters(taught, told):
    table = cosine_table(taught["llama"], told.queries, "finetuned")
    found, base = Estimates(), Estimates()
    add_cosines(found, table, 0)
    add_cosines(base, table.assign(model="base"), 0)
    assert len(found) == 6
    estimate = found["gradient_cosine.both.reverse.all"]
    rows = table[
        (table.group == "both") & (table.pairing == "reverse") & (table.component == "all")
    ]
    assert estimate.value == pytest.approx(rows.difference.mean())
    assert (estimate.n, estimate.unit) == (3, "cosine")
    assert "gradient_cosine.base.both.reverse.all" in base


def test_facts_that_cannot_be_measured_are_refused(told):
    Gradients().check(told)
    both = replace(told, queries=[q for q in told.queries if q.group == "both"])
    with pytest.raises(DataError, match="one order only"):
        Gradients().check(both)
    template = next(q.template for q in told.queries if q.order == "backward")
    fewer = replace(told, queries=[q for q in told.queries if q.template != template])
    with pytest.raises(DataError, match="templates, needed are 2"):
        Gradients().check(fewer)
    single = replace(told, queries=[q for q in told.queries if q.fact.endswith(".0")])
    with pytest.raises(DataError, match="1 facts, needed are 2"):
        Gradients().check(single)
