"""Effects, greedy sets, singular directions and neurons: each against a plain way to the same."""

import copy
from contextlib import nullcontext
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch

from interp_rc.measures.transplant.asking import Asking, Said, paired_anew
from interp_rc.measures.transplant.low_rank import Differences, effective_rank, ranks
from interp_rc.measures.transplant.neurons import rank_neurons
from interp_rc.measures.transplant.pair import Whole
from interp_rc.measures.transplant.sets import candidates, sets_of_sites
from interp_rc.measures.transplant.single import ends, said, single_effects
from interp_rc.measures.transplant.smallest import (
    as_large,
    at_random,
    backward_elimination,
    forward_selection,
)
from interp_rc.models.load import Loaded
from interp_rc.models.scoring import score
from interp_rc.tools.weights.exchange import exchanged
from interp_rc.tools.weights.sites import WeightSite, matrices, units
from tests.conftest import SHAPES
from tests.engine.tiny import precise
from tests.tools.weights.conftest import kept, other_than, same


@pytest.fixture(scope="module")
def questions(contrasts):
    return contrasts[::7][:6]


@pytest.fixture
def pair(pairs):
    return Whole(*pairs["llama"])


def fact_of(loaded, questions):
    """The scorer's own: what is said more than after the other prompt."""
    targets = [q.target for q in questions]
    own = score(*loaded, [q.clean for q in questions], targets).log_prob
    return own - score(*loaded, [q.corrupted for q in questions], targets).log_prob


@pytest.mark.parametrize("shape", SHAPES)
def test_effects_are_those_of_copies(pairs, shape, questions):
    base, finetuned = pairs[shape]
    pair = Whole(base, finetuned)
    table = single_effects(pair, units(pair.adapter("given")), Asking(base, questions))
    before = fact_of(base, questions), fact_of(finetuned, questions)
    for act, taker, giver, begin in (
        ("given", base, finetuned, before[0]),
        ("taken", finetuned, base, before[1]),
    ):
        copied = Loaded(copy.deepcopy(taker.model), taker.tokenizer)
        state, theirs = copied.model.state_dict(), giver.model.state_dict()
        name = next(n for n in state if ".1." in n and "mlp" in n and n.endswith("weight"))
        module = name.removesuffix(".weight")
        mine = [n for n in state if n.startswith(f"{module}.")]
        copied.model.load_state_dict(state | {n: theirs[n] for n in mine})
        expected = fact_of(copied, questions) - begin
        rows = single_effects(pair, [WeightSite(layer=1, module=module)], Asking(base, questions))
        rows = rows[(rows.act == act) & (rows.metric == "fact")]
        np.testing.assert_allclose(rows.effect, expected, atol=2e-4)
        assert set(rows.component) == {"mlp"}
        np.testing.assert_allclose(rows.whole, before[1] - before[0], atol=2e-4)
        np.testing.assert_allclose(rows.recovered, rows.effect / rows.whole)
    assert set(table.component) == {s.part for s in units(pair.adapter("given"))}
    assert len(table) == 2 * 2 * 7 * len(questions)


def test_leads_are_those_of_copies(pairs, questions):
    """Over the foil after the same prompt, by the scorer; and only where they are asked for."""
    base, finetuned = pairs["llama"]
    pair = Whole(base, finetuned)
    site = WeightSite("mlp", 1)
    table = single_effects(pair, [site], Asking(base, questions, leads=True), ["taken"])
    assert set(table.metric) == {"answer", "fact", "lead"}

    def lead(loaded):
        prompts = [q.clean for q in questions]
        own = score(*loaded, prompts, [q.target for q in questions]).log_prob
        return own - score(*loaded, prompts, [q.foil for q in questions]).log_prob

    copied = Loaded(copy.deepcopy(finetuned.model), finetuned.tokenizer)
    state, theirs = copied.model.state_dict(), base.model.state_dict()
    mlp = [n for n in state if ".layers.1.mlp." in n]
    copied.model.load_state_dict(state | {n: theirs[n] for n in mlp})
    rows = table[table.metric == "lead"]
    np.testing.assert_allclose(rows.effect, lead(copied) - lead(finetuned), atol=2e-4)
    np.testing.assert_allclose(rows.whole, lead(finetuned) - lead(base), atol=2e-4)
    without = [replace(q, foil=None) for q in questions]
    assert Asking(base, without, leads=True).metrics == ("answer", "fact")


def test_questions_are_paired_within_their_own(questions):
    some = [replace(q, group="both", template="t") for q in questions[:3]]
    anew = paired_anew([*some, replace(questions[3], template="alone")])
    assert [q.query for q in anew] == [q.query for q in some]
    assert sorted(q.corrupted for q in anew) == sorted(q.clean for q in some)
    assert all(q.corrupted != q.clean for q in anew)
    foil_of = {q.clean: q.target for q in some}
    assert all(q.foil == foil_of[q.corrupted] for q in anew)


class Additive:
    """A stand-in for a pair: every site has a worth, and worths add up."""

    def __init__(self, worths, together=0.0):
        self.worths, self.together = worths, together

    def value(self, sites):
        names = {site.name for site in sites}
        both = self.together * ({"mlp.0", "mlp.1"} <= names)
        return sum(self.worths[name] for name in names) + both

    def size(self, site):
        return 1 + site.layer

    def moved(self, act, sites):
        return nullcontext(self.value(sites))


class Reads:
    """Asked, it says what the stand-in is worth."""

    questions = ()

    def said(self, value):
        return Said(torch.tensor([value]), torch.zeros(1), torch.zeros(1))


def sites_worth(*worths):
    return {f"mlp.{n}": worth for n, worth in enumerate(worths)}


def test_selection_takes_the_largest_first_and_stops_when_it_is_enough():
    worths = sites_worth(1.0, 5.0, 0.5, 3.5)
    sites = [WeightSite("mlp", n) for n in range(4)]
    pair = Additive(worths)
    forward = forward_selection(pair, sites, Reads(), enough=0.9)
    assert [s.name for s in forward.sites] == ["mlp.1", "mlp.3", "mlp.0"]
    assert forward.effects == [0.0, 5.0, 8.5, 9.5]
    assert forward.whole == 10.0
    assert forward_selection(pair, sites, Reads(), enough=0.8).sites == forward.sites[:2]
    backward = backward_elimination(pair, sites, Reads(), enough=0.85)
    assert backward == forward._replace(sites=forward.sites[:2], effects=[0.0, 5.0, 8.5])
    assert backward_elimination(pair, sites, Reads(), enough=0.0).sites == []


def test_what_works_only_together_is_found_by_putting_back():
    pair = Additive(sites_worth(0.0, 0.0, 2.0, 1.9), together=20.0)
    sites = [WeightSite("mlp", n) for n in range(4)]
    assert len(forward_selection(pair, sites, Reads(), enough=0.8).sites) == 4
    found = backward_elimination(pair, sites, Reads(), enough=0.8)
    assert {s.name for s in found.sites} == {"mlp.0", "mlp.1"}


def test_sets_at_random_are_as_large_as_they_can_be():
    sites = [WeightSite("mlp", n) for n in range(8)]
    pair = Additive(dict.fromkeys((s.name for s in sites), 0.0))
    orders = [at_random(sites, seed) for seed in range(20)]
    assert all(sorted(order, key=lambda s: s.layer) == sites for order in orders)
    assert len({tuple(order) for order in orders}) > 15
    wanted = sites[2:5]  # 3 + 4 + 5 weights
    sizes = []
    for order in orders:
        found = as_large(pair, order, wanted)
        sizes.append(sum(map(pair.size, found)))
        left = 12 - sizes[-1]
        assert all(pair.size(s) > left for s in order if s not in found)
    assert max(sizes) <= 12
    assert np.mean(sizes) > 11


@pytest.fixture
def gained(pair, contrasts):
    """Questions whose facts the finetuned model knows better than the base."""
    some = contrasts[::2]
    known = ends(pair, Asking(pair.base, some))
    more = (known.finetuned.fact - known.base.fact).tolist()
    return [q for q, gain in zip(some, more, strict=True) if gain > 1]


def test_sets_of_sites_are_measured_where_they_were_not_chosen(pair, gained):
    chosen, measured = gained[:3], gained[3:6]
    asking = [Asking(pair.base, some) for some in (chosen, measured)]
    table, sites = sets_of_sites(pair, *asking, seed=0)
    assert set(table["query"]) == {q.query for q in measured}
    greedy = sites[sites.set == "greedy"].sort_values("place")
    named = [WeightSite.parse(name) for name in greedy.site]
    expected = forward_selection(pair, candidates(pair), asking[0])
    assert [s.name for s in named] == [s.name for s in expected.sites]
    last = table[table["last"]]
    with exchanged(pair.base, pair.finetuned, named):
        given = fact_of(pair.base, measured)
    np.testing.assert_allclose(last.effect, given - fact_of(pair.base, measured), atol=2e-4)
    whole = table[table.set == "all"]
    known = ends(pair, asking[1])
    np.testing.assert_allclose(whole.effect, known.finetuned.fact - known.base.fact, atol=1e-9)
    weights = sum(p.numel() for p in pair.base.model.parameters())
    tied = pair.base.model.get_input_embeddings().weight.numel()
    assert sites[sites.set == "all"]["size"].sum() == weights + tied
    assert (table[table.set == "as_large"]["size"] <= last["size"].iloc[0]).all()


def test_where_nothing_was_learnt_nothing_is_chosen(pair, gained):
    """The other way round, what is gained is lost."""
    lost = Whole(pair.finetuned, pair.base)
    asking = Asking(pair.base, gained[:3])
    table, sites = sets_of_sites(lost, asking, asking, seed=0)
    assert set(table.set) == {"all", "units", "random", "as_large"}
    assert set(sites.set) == {"all"}
    assert not table["last"].any()
    assert (table[table.set == "units"].effect == 0).all()


def test_all_directions_are_the_whole_difference_and_parts_add_up(pair, questions):
    asking = Asking(pair.base, questions)
    everything = units(pair.adapter("given"))
    differences = Differences(pair, everything)
    known, before = ends(pair, asking), kept(pair.base)
    with differences.given(differences.rank, "top") as adapter:
        torch.testing.assert_close(asking.said(adapter).own, known.finetuned.own,
                                   rtol=0, atol=2e-4)  # fmt: skip
    assert same(before, kept(pair.base))
    some = [site for site in everything if site.part != "norms"]
    with Differences(pair, some).given(0, "top") as adapter:
        torch.testing.assert_close(asking.said(adapter).own, known.base.own, rtol=0, atol=2e-4)
    name, one = next((n, d) for n, d in differences.matrices.items() if "down_proj" in n)
    whole = kept(pair.finetuned)[name].double() - before[name].double()
    for rank in (1, 5):
        top, rest = one.part(rank, "top", 0), one.part(rank, "rest", 0)
        torch.testing.assert_close(top + rest, whole)
        assert int(torch.linalg.matrix_rank(top)) == rank
        # No other matrix of that rank is nearer (Eckart and Young 1936).
        tail = np.linalg.svd(whole.numpy(), compute_uv=False)[rank:]
        assert float((whole - top).norm()) == pytest.approx(float(np.linalg.norm(tail)))
        drawn = one.part(rank, "random", 3)
        assert int(torch.linalg.matrix_rank(drawn)) == rank
        assert float(drawn.norm()) == pytest.approx(float(top.norm()))
        assert not torch.allclose(drawn, top)


def test_spectra_by_numpy(pair):
    table = Differences(pair, [WeightSite("attention", 0)]).spectra()
    name = "model.layers.0.self_attn.o_proj.weight"
    difference = kept(pair.finetuned)[name].double() - kept(pair.base)[name].double()
    squares = np.linalg.svd(difference.numpy(), compute_uv=False) ** 2
    part = table[table.parameter == name]
    np.testing.assert_allclose(part.share, squares.cumsum() / squares.sum(), rtol=1e-9)
    assert len(set(table.parameter)) == 4
    assert effective_rank(torch.tensor([2.0, 2.0, 2.0, 0.0])) == pytest.approx(3)
    assert effective_rank(torch.tensor([1.0, 0.0])) == pytest.approx(1)
    assert 1 < part.effective_rank.iloc[0] < len(part)


def test_ranks_double():
    assert ranks(1) == [1]
    assert ranks(6) == [1, 2, 4, 6]
    assert ranks(8) == [1, 2, 4, 8]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("act", ["given", "taken"])
def test_the_estimate_is_the_slope_of_moving_a_little(taught, shape, act, questions):
    """A donor that is near enough is one whose effect is the first order's."""
    base = precise(taught, shape)
    pair = Whole(base, other_than(base, scale=1e-5))
    asking = Asking(base, questions)
    begin = ends(pair, asking).begins(act).fact.mean()
    for of in ("key", "value", "both"):
        found = rank_neurons(pair, act, questions, of)
        for number in (3, found.score.shape[1] + 5):
            sites = found.sites(torch.tensor([number]), of)
            effect = said(pair, act, sites, asking).fact.mean() - begin
            layer, neuron = divmod(number, found.score.shape[1])
            assert float(effect) == pytest.approx(float(found.score[layer, neuron]), rel=2e-2)
            square = sum(pair.square(site) for site in sites)
            assert float(found.square[layer, neuron]) == pytest.approx(square)
    assert not any(p.requires_grad for p in base.model.parameters())
    best = found.first(4, act)
    signed = found.score.flatten() * (1 if act == "given" else -1)
    assert signed[best].tolist() == sorted(signed.tolist(), reverse=True)[:4]
    drawn = found.alike(best, 0)
    assert not set(drawn.tolist()) & set(best.tolist())
    squares = found.square.flatten()
    assert squares[drawn].sum() >= squares[best].sum() > squares[drawn[:-1]].sum()


def test_pairs_of_sites_need_no_order(pair, questions):
    asking = Asking(pair.base, questions[:2])
    for some in combinations(matrices(pair.adapter("given"))[:3], 2):
        one, other = (said(pair, "given", sites, asking).own for sites in (some, some[::-1]))
        assert torch.equal(one, other)
