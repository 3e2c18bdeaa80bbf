"""Coefficients given, averaged and exchanged: against hooks of our own, and weights rewritten."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interp_rc.engine.sites import Site
from interp_rc.models.load import Loaded
from interp_rc.records.errors import DataError
from interp_rc.tools.attribution.attribution import attribute
from interp_rc.tools.neurons.curves import grid, neuron_curves, to_half
from interp_rc.tools.neurons.exchange import exchange, exchange_values
from interp_rc.tools.neurons.ranking import Ranking, matched_at_random, rank_neurons
from interp_rc.tools.patching.patching import patch
from tests.engine.tiny import masked, precise

SHAPES = ("gpt2", "gpt_neox", "llama", "qwen2", "gemma2", "bert")


def near(loaded):
    """Gemma's attention rounds to float32, whatever the type of the rest."""
    return 1e-5 if loaded.model.config.model_type == "gemma2" else 1e-9


def downs(model):
    """The modules whose inputs are the neurons."""
    names = {
        "gpt2": "mlp.c_proj",
        "gpt_neox": "mlp.dense_4h_to_h",
        "bert": "output.dense",
    }
    wanted = names.get(model.config.model_type, "mlp.down_proj")
    found = [m for name, m in model.named_modules() if name.endswith(wanted)]
    if model.config.model_type == "bert":  # attention has an output.dense as well
        found = [m for m in found if m.in_features != m.out_features]
    return found


class Plain:
    """One prompt at a time, whole, with hooks on the modules after the neurons."""

    def __init__(self, loaded):
        self.model, self.tokenizer = loaded

    def read(self, prompt, target):
        if self.model.config.model_type == "bert":
            ids, mask = self.tokenizer(prompt).input_ids, self.tokenizer.mask_token_id
            wanted = self.tokenizer(target, add_special_tokens=False).input_ids
            offsets = self.tokenizer(prompt, return_offsets_mapping=True).offset_mapping
            at = ids.index(mask)
            ids = [*ids[:at], *[mask] * len(wanted), *ids[at + 1 :]]
            offsets = [*offsets[:at], *[offsets[at]] * len(wanted), *offsets[at + 1 :]]
            return ids, offsets, range(at, at + len(wanted)), wanted
        encoded = self.tokenizer(prompt + target, return_offsets_mapping=True)
        ids, offsets = encoded.input_ids, encoded.offset_mapping
        start = next(i for i, (_, end) in enumerate(offsets) if end > len(prompt))
        return ids, offsets[:start], range(start - 1, len(ids) - 1), ids[start:]

    def source(self, prompt, target, span):
        _, offsets, _, _ = self.read(prompt, target)
        return [i for i, (a, b) in enumerate(offsets) if a < span.end and b > span.start]

    def run(self, prompt, target, replace=None):
        """Log-probability of the target, and every layer's neurons; `replace(layer, value)`."""
        ids, _, reads, wanted = self.read(prompt, target)
        kept, handles = {}, []
        for layer, module in enumerate(downs(self.model)):

            def hook(_, args, layer=layer):
                value = args[0] if replace is None else replace(layer, args[0].clone())
                kept[layer] = value[0]
                return (value,)

            handles.append(module.register_forward_pre_hook(hook))
        with torch.no_grad():
            logits = self.model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]
        for handle in handles:
            handle.remove()
        log_probs = torch.log_softmax(logits.double(), -1)
        return sum(log_probs[r, w].item() for r, w in zip(reads, wanted, strict=True)), kept


@pytest.fixture(params=SHAPES)
def asked(request, taught, contrasts):
    some = contrasts[::5][:4]
    loaded = precise(taught, request.param)
    return loaded, masked(some) if request.param == "bert" else some


def some_ranking(loaded, contrasts, seed=0):
    """Not that of the model, so that no neuron is special."""
    draw = torch.Generator().manual_seed(seed)
    shape = len(contrasts), len(downs(loaded.model)), neurons(loaded)
    score = torch.randn(shape, generator=draw)
    return Ranking(score, score.flip(-1), torch.rand(shape, generator=draw), score > 0)


def neurons(loaded):
    module = downs(loaded.model)[0]
    return getattr(module, "in_features", None) or module.nx


def test_curves_equal_whole_passes_with_hooks(asked):
    loaded, contrasts = asked
    plain, ranking = Plain(loaded), some_ranking(*asked)
    ks = [1, 7, 2 * neurons(loaded)]
    table = neuron_curves(loaded, contrasts, ranking, ks=ks)
    runs = [
        [
            (plain.run(p, c.target), plain.source(p, c.target, c.spans["source"][which]))
            for which, p in enumerate((c.clean, c.corrupted))
        ]
        for c in contrasts
    ]
    mean = {
        (order, layer): torch.cat(
            [
                kept[layer][tokens]
                for (((_, kept), tokens), _), one in zip(runs, contrasts, strict=True)
                if one.order == order
            ]
        ).mean(0)
        for layer in range(len(downs(loaded.model)))
        for order in {one.order for one in contrasts}
    }
    assert len(table) == 4 * len(ks) * len(contrasts)
    for number, contrast in enumerate(contrasts):
        ((clean, kept), given), ((corrupted, _), taking) = runs[number]
        shared = min(len(given), len(taking))
        for k in ks:
            top = ranking.score[number].flatten().argsort(descending=True)[:k].tolist()
            of_layer = {}
            for neuron in top:
                of_layer.setdefault(neuron // neurons(loaded), []).append(neuron % neurons(loaded))

            def transplant(layer, value, of_layer=of_layer, kept=kept, g=given, t=taking, n=shared):
                for neuron in of_layer.get(layer, []):
                    value[0, t[-n:], neuron] = kept[layer][g[-n:], neuron]
                return value

            def ablate(layer, value, of_layer=of_layer, g=given, order=contrast.order):
                for neuron in of_layer.get(layer, []):
                    value[0, g, neuron] = mean[order, layer][neuron]
                return value

            rows = table[(table.pair == contrast.id) & (table.k == k) & (table.set == "top")]
            row = rows[rows.act == "transplant"].iloc[0]
            expected, _ = plain.run(contrast.corrupted, contrast.target, transplant)
            assert row.value == pytest.approx(expected, rel=near(loaded))
            assert row.effect == pytest.approx(expected - corrupted, abs=1e3 * near(loaded))
            assert row.recovered == pytest.approx(row.effect / (clean - corrupted), rel=1e-4)
            row = rows[rows.act == "ablate"].iloc[0]
            expected, _ = plain.run(contrast.clean, contrast.target, ablate)
            assert row.effect == pytest.approx(expected - clean, abs=1e3 * near(loaded))
            assert row.n == k
    drawn = table[table.set == "random"]
    assert (drawn[drawn.k == ks[-1]].n == 0).all()  # there are no others
    assert (drawn[drawn.k == ks[-1]].effect.abs() < 1e-12).all()
    ends = drawn.merge(table[table.set == "top"], on=["pair", "act", "k"])
    enough = (ends.write_x >= ends.write_y) | (ends.n_x == 2 * neurons(loaded) - ends.k)
    assert enough.all()


def test_scores_are_attributions_at_both_ends(asked):
    loaded, contrasts = asked
    found = rank_neurons(loaded, contrasts)
    sites = [Site("mlp_post", layer, "source", "all", neuron=n) for layer in (0, 1) for n in (0, 5)]
    into = [attribute(loaded, contrasts, sites, into=end) for end in ("corrupted", "clean")]
    ends = [
        one.table.value.to_numpy().reshape(len(contrasts), 2, 2)
        - one.baselines[run].to_numpy()[:, None, None]
        for one, run in zip(into, ("corrupted", "clean"), strict=True)
    ]
    expected = (ends[0] - ends[1]) / 2
    np.testing.assert_allclose(found.score[:, :2, [0, 5]], expected, rtol=1e-8, atol=1e-12)
    assert np.abs(expected).max() > 1e-5
    risen = found.rises[:, 0, 5]
    written = found.write[:, 0, 5]
    value = downs(loaded.model)[0].weight[:, 5]
    if loaded.model.config.model_type == "gpt2":
        value = downs(loaded.model)[0].weight[5]
    plain = Plain(loaded)
    for one, rises, contrast in zip(written, risen, contrasts, strict=True):
        both = [
            plain.run(p, contrast.target)[1][0][
                plain.source(p, contrast.target, contrast.spans["source"][which]), 5
            ]
            for which, p in enumerate((contrast.clean, contrast.corrupted))
        ]
        shared = min(map(len, both))
        change = both[0][-shared:] - both[1][-shared:]
        assert bool(rises) == bool(change.sum() > 0)
        assert float(one) == pytest.approx(
            float((change**2).sum() * (value**2).sum()), rel=near(loaded)
        )


def test_one_neuron_given_is_patching_it(asked):
    loaded, contrasts = asked
    ranking = some_ranking(*asked)
    table = neuron_curves(loaded, contrasts, ranking, ks=[1])
    rows = table[(table.act == "transplant") & (table.set == "top")].set_index("pair")
    for number, contrast in enumerate(contrasts):
        layer, neuron = divmod(int(ranking.order(number)[0]), neurons(loaded))
        site = Site("mlp_post", layer, "source", "all", neuron=neuron)
        expected = patch(loaded, [contrast], [site]).table.value[0]
        assert rows.value[contrast.id] == pytest.approx(expected, abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["gpt2", "llama", "gpt_neox"])
def test_exchanged_values_are_exchanged_weights(shape, taught, contrasts):
    loaded = precise(taught, shape)
    some = [one for one in contrasts if one.order == "forward"]
    ranking = some_ranking(loaded, some, seed=3)
    table = exchange_values(loaded, some, ranking, layer=1, ks=[3])
    whose = {(one.clean, one.target): number for number, one in enumerate(some)}
    assert len(table) == 4 * len(some)
    order = ranking.own[:, 1].argsort(dim=-1, descending=True)
    for number, contrast in enumerate(some):
        other = whose[contrast.corrupted, contrast.foil]
        third = whose[some[other].corrupted, some[other].foil]
        for swapped_with, partner in (("other", other), ("third", third)):
            model = copy.deepcopy(loaded.model)
            first, second = (order[which, :3].tolist() for which in (number, partner))
            alone = [n for n in first if n not in second], [n for n in second if n not in first]
            weight = downs(model)[1].weight.data
            rows = weight if shape == "gpt2" else weight.T
            for a, b in zip(*alone, strict=True):
                rows[[a, b]] = rows[[b, a]]
            plain = Plain(Loaded(model, loaded.tokenizer))
            for of, target in (("own", contrast.target), ("other", contrast.foil)):
                before, _ = Plain(loaded).run(contrast.clean, target)
                after, _ = plain.run(contrast.clean, target)
                found = table[
                    (table.pair == contrast.id)
                    & (table.swapped_with == swapped_with)
                    & (table.of == of)
                ]
                assert found.value.item() == pytest.approx(after, abs=1e-9)
                assert found.effect.item() == pytest.approx(after - before, abs=1e-9)
    assert table.effect.abs().max() > 1e-3


def test_an_exchange_needs_three_facts(taught, contrasts):
    two = contrasts[:1]
    with pytest.raises(DataError, match="at least three facts"):
        exchange_values(taught["llama"], two, some_ranking(taught["llama"], two), layer=0, ks=[1])


@given(st.permutations(range(9)), st.permutations(range(9)), st.integers(0, 9))
def test_an_exchange_is_its_own_inverse_and_leaves_the_rest(first, second, k):
    order = exchange(torch.tensor(first), torch.tensor(second), k)
    torch.testing.assert_close(order[order], torch.arange(9))
    both = set(first[:k]) ^ set(second[:k])
    assert {n for n in range(9) if order[n] != n} == both
    assert all(int(order[n]) in second[:k] for n in set(first[:k]) & both)


@settings(deadline=None)
@given(st.lists(st.floats(0, 5), min_size=2, max_size=30), st.integers(1, 30), st.integers(0, 9))
def test_neurons_at_random_write_enough_and_no_more_than_needed(write, k, seed):
    write = torch.tensor(write, dtype=torch.float64)
    top = write.argsort(descending=True)[: min(k, len(write))]
    drawn = matched_at_random(write, top, torch.Generator().manual_seed(seed))
    assert not set(drawn.tolist()) & set(top.tolist())
    assert len(set(drawn.tolist())) == len(drawn)
    needed = float(write[top].sum())
    left = set(range(len(write))) - set(top.tolist()) - set(drawn.tolist())
    if left:
        assert float(write[drawn].sum()) >= needed - 1e-9
    assert float(write[drawn[:-1]].sum()) < needed or len(drawn) <= 1


def test_half_of_a_curve():
    ks = [1, 2, 4, 8]
    assert to_half(ks, np.array([0.0, 1.0, 3.0, 4.0])) == pytest.approx(2 * 2**0.5)
    assert to_half(ks, np.array([3.0, 3.0, 3.0, 4.0])) == 1
    assert to_half(ks, np.array([0.0, 0.0, 0.0, 4.0])) == pytest.approx(4 * 2**0.5)
    assert to_half(ks, np.array([1.0, 2.0, 3.0, -1.0])) is None
    assert grid(7) == [1, 2, 4, 7]
    assert grid(8) == [1, 2, 4, 8]
