"""Transplants find the planted weights and no others, between models that differ everywhere."""

import pytest
import torch

from analysis.planted_tools.transplants import (
    case_of,
    given,
    neurons,
    nothing_reads,
    smallest,
    taken,
)
from interp_rc.measures.transplant.asking import Asking
from interp_rc.measures.transplant.pair import Whole
from interp_rc.measures.transplant.single import ends, said
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.adapters.parts import Place
from interp_rc.models.planted.plant import plant
from interp_rc.models.planted.weights import exact
from interp_rc.tools.weights.exchange import exchanged
from interp_rc.tools.weights.sites import WeightSite, matrices, units
from interp_rc.training.confined import teach, untaught

SOME = [("attention", "llama"), ("two_stores", "gpt2"), ("decoy", "llama")]


@pytest.fixture(params=SOME, ids=" ".join)
def one(request):
    return plant(*request.param, 1)


@pytest.mark.slow
def test_the_planted_weights_come_first_and_no_others_are_called(one):
    for tool, null in ((given, 9), (taken, 0), (smallest, 17), (neurons, 248)):
        found = tool(one, "forward")
        if tool is neurons and one.kind == "attention":
            assert found is None
            continue
        assert found.first, tool
        assert found.discoveries >= 1
        assert found.false == 0
        assert found.null_sites >= null
        assert found.largest_null < 1e-9


def test_base_and_donor_differ_in_every_part_but_the_norms(one):
    for order in one.store:
        case = case_of(one, order)
        squares = {s.name: case.pair.square(s) for s in units(case.pair.adapter("given"))}
        assert squares.pop("norms") == 0
        assert min(squares.values()) > 0
        lacking = case.pair.square(case.matrix)
        assert 0 < lacking <= squares[case.unit.name]
        known = ends(case.pair, Asking(case.pair.base, case.contrasts))
        assert known.base.fact.abs().max() < 1e-9
        assert known.finetuned.fact.min() > 1
        assert known.finetuned.own.min() > -0.5


@pytest.mark.parametrize(("kind", "brings"), [("two_stores", False), ("two_way", True)])
def test_the_store_of_an_order_brings_the_other_order_if_it_is_one_store(kind, brings):
    one = plant(kind, "llama", 2)
    case, other = case_of(one, "forward"), case_of(one, "backward")
    neither = case.pair.base  # the base lacks the other order's store as well
    with exchanged(neither, other.pair.base, [other.matrix]):
        asking = Asking(neither, one.contrasts["backward"])
        begin = said(case.pair, "given", [], asking).fact
        gained = said(case.pair, "given", [case.unit], asking).fact - begin
    assert begin.abs().max() < 1e-9
    assert (gained.min() > 1) == brings
    assert brings or gained.abs().max() < 1e-9


def test_what_nothing_reads_is_read_by_nothing(one):
    adapter = Adapter(exact(one.loaded.model))
    unread = nothing_reads(adapter)
    stream = unread.sum(0)[None, None] * 3
    for block in adapter.parts.blocks:
        assert block.mlp(block.mlp_norm(stream)).abs().max() < 1e-9
    assert adapter.parts.logits(stream).std() < 1e-9
    torch.testing.assert_close(unread @ unread.T, torch.eye(len(unread), dtype=torch.float64))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "place"), [("llama", Place("mlp_out", 1)), ("gpt2", Place("attn_out", 2))]
)
def test_the_module_that_alone_was_taught_carries_all(shape, place):
    taught, base = teach(untaught(shape, 0), place, 0), untaught(shape, 0)
    pair = Whole(base, taught.loaded)
    adapter = pair.adapter("given")
    asking = Asking(base, taught.contrasts["forward"])
    known = ends(pair, asking)
    module = WeightSite("mlp" if place.component == "mlp_out" else "attention", place.layer)
    assert torch.equal(said(pair, "given", [module], asking).own, known.finetuned.own)
    assert torch.equal(said(pair, "taken", [module], asking).own, known.base.own)
    others = [site for site in units(adapter) if site != module]
    assert torch.equal(said(pair, "given", others, asking).own, known.base.own)
    inside = {m for m in matrices(adapter) if pair.square(m) > 0}
    assert inside <= {m for m in matrices(adapter) if m.layer == place.layer}
    assert known.finetuned.fact.mean() > 5
