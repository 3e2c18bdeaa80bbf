"""What is cut, and that its cost is what a plain loop with masks of its own finds."""

import dataclasses

import numpy as np
import pytest

from interp_rc.records.errors import ConfigError, DataError
from interp_rc.records.nouns import Span
from interp_rc.tools.patching.attention_cut import ALL, cut_costs
from interp_rc.tools.patching.knockout import Chosen, knockout
from tests.engine.tiny import masked, precise
from tests.tools.patching.test_knockout import covered, plain, read


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["llama", "gpt2", "gpt_neox", "qwen2", "bert"])
def test_the_sources_cost(taught, contrasts, shape, unrounded):
    model, some = precise(taught, shape), contrasts[::10]
    some = masked(some) if shape == "bert" else some
    table = cut_costs(model, some).set_index(["pair", "keys", "layer"])
    for contrast in some:
        prompt, target = contrast.clean, contrast.target
        _, _, reads, _ = read(model, prompt, target)
        source = covered(model, prompt, target, contrast.spans["source"][0])
        own = plain(model, prompt, target, {})
        for layer, within in ((0, [0]), (1, [1]), (ALL, [0, 1])):
            cut = plain(model, prompt, target, dict.fromkeys(within, (list(reads), source)))
            row = table.loc[(contrast.id, "source", layer)]
            assert row.cost == pytest.approx(own - cut, abs=1e-9)
            assert row.tokens == len(source)
            _, _, reads_foil, _ = read(model, prompt, contrast.foil)
            blocked = dict.fromkeys(within, (list(reads_foil), source))
            lost = plain(model, prompt, contrast.foil, {}) - plain(
                model, prompt, contrast.foil, blocked
            )
            assert row.over_foil == pytest.approx(row.cost - lost, abs=1e-9)
    assert table.cost.abs().max() > 0.1


def test_others_are_as_many_from_the_rest_of_the_prompt(taught, contrasts, monkeypatch):
    model, asked, contrasts = precise(taught, "gpt2"), {}, contrasts[::3]
    own = knockout

    def kept(model, some, queries, keys, **options):
        asked.setdefault(keys.name, (queries.positions, keys.positions))
        return own(model, some, queries, keys, **options)

    monkeypatch.setattr("interp_rc.tools.patching.attention_cut.knockout", kept)
    table = cut_costs(model, contrasts, seed=3)  # what is drawn is kept of this first call
    again = cut_costs(model, contrasts[:2], seed=3)
    np.testing.assert_allclose(
        again.cost, table[table.pair.isin([c.id for c in contrasts[:2]])].cost, atol=1e-9
    )
    fewer = 0
    for contrast in contrasts:
        _, _, reads, offsets = read(model, contrast.clean, contrast.target)
        source = set(asked["source"][1][contrast.id])
        others = set(asked["others"][1][contrast.id])
        assert asked["others"][0][contrast.id] == list(reads)
        assert not others & (source | set(reads) | {0})
        assert max(others, default=1) < reads[0]
        rest = len(offsets) - len(source) - 2
        assert len(others) == min(len(source), rest)
        fewer += len(others) < len(source)
    assert fewer
    # The cost of what was drawn, by the loop.
    contrast = contrasts[0]
    _, _, reads, _ = read(model, contrast.clean, contrast.target)
    drawn = asked["others"][1][contrast.id]
    cut = plain(model, contrast.clean, contrast.target, {1: (list(reads), drawn)})
    own_value = plain(model, contrast.clean, contrast.target, {})
    row = table[(table.pair == contrast.id) & (table["keys"] == "others") & (table.layer == 1)]
    assert row.cost.item() == pytest.approx(own_value - cut, abs=1e-9)


def test_chosen_tokens_are_those_of_a_span(taught, contrasts):
    model, some = taught["llama"], contrasts[:3]
    named = knockout(model, some, "prompt.last", "source.all")
    positions, last = {}, {}
    for c in some:
        positions[c.id] = covered(model, c.clean, c.target, c.spans["source"][0])
        last[c.id] = [read(model, c.clean, c.target)[2][0]]
    chosen = knockout(model, some, Chosen("end", last), Chosen("it", positions))
    np.testing.assert_array_equal(chosen.table.value, named.table.value)
    assert set(chosen.table["keys"]) == {"it"}
    assert set(chosen.table.span) == {"end"}
    for wrong in ({}, {c.id: [99] for c in some}, {c.id: [-1] for c in some}):
        with pytest.raises(DataError, match="it are the positions"):
            knockout(model, some, "prompt.last", Chosen("it", wrong))


def test_a_prompt_without_others_is_left_out(taught, contrasts):
    one = dataclasses.replace(contrasts[0], foil=None)
    texts = [
        text[slice(*s)]
        for text, s in zip((one.clean, one.corrupted), one.spans["source"], strict=True)
    ]
    spans = {"source": [Span(0, len(text)) for text in texts]}
    bare = dataclasses.replace(one, id="bare", clean=texts[0], corrupted=texts[1], spans=spans)
    table = cut_costs(taught["llama"], [one, bare])
    assert set(table[table.pair == "bare"]["keys"]) == {"source"}
    assert table.over_foil.isna().all()
    assert set(table[table.pair == one.id]["keys"]) == {"source", "others"}


def test_a_window_of_all_layers_is_all_where_it_has_them_and_refused_as_a_map(taught, contrasts):
    model = precise(taught, "gpt2")
    table = cut_costs(model, contrasts[:1], window=2)
    assert sorted(set(table.layer)) == sorted({ALL, 0, 1})
    costs = table[table["keys"] == "source"].set_index("layer").cost
    assert costs[1] == pytest.approx(costs[ALL])
    assert costs[0] != pytest.approx(costs[ALL])
    with pytest.raises(ConfigError, match="window of 5 layers is the same around every layer"):
        cut_costs(model, contrasts[:1], window=5)
