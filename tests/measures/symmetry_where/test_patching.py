"""Patching an encoder: against a plain loop, and where the class has a known place."""

import numpy as np
import pandas as pd
import pytest
import torch

from interp_rc.facts.symmetry_pairs import symmetry_pairs
from interp_rc.measures.symmetry_where.asked import (
    Couple,
    couples,
    evenly,
    patched_places,
    swapped_pairs,
    together,
)
from interp_rc.measures.symmetry_where.estimates import patching_estimates
from interp_rc.measures.symmetry_where.patching import patched
from interp_rc.models.encoder import EncoderSize, new_encoder
from interp_rc.models.encoder_states import tokens
from interp_rc.records.errors import ModelError
from tests.measures.symmetry_where.planted import LAYERS, WRITES, pair_about, planted
from tests.models.test_encoder_states import by_hand


@pytest.fixture(scope="module")
def drawn():
    pairs = list(symmetry_pairs(100, 60, label_set="two_labels", entities="names", split="test"))
    texts = [text for pair in pairs for text in together(pair)]
    encoder = new_encoder(texts * 2, EncoderSize(2, 32, 2, 64, 1024), seed=100)
    return encoder, couples(encoder, evenly(swapped_pairs(pairs, "test"), 2))


def score(vectors):
    return vectors[:, 0] - 2 * vectors[:, 1]


def test_couples_differ_in_their_relation_alone(drawn):
    encoder, found = drawn
    assert {couple.clean.relation for couple in found} <= {
        "sibling",
        "possibly_same",
        "different_from",
    }
    assert {couple.relation for couple in found} >= {"mother", "father"}
    for couple in found:
        clean, corrupted = tokens(encoder, [together(couple.clean), couple.corrupted])
        assert len(clean.ids) == len(corrupted.ids)
        apart = {n for n in clean.every if clean.ids[n] != corrupted.ids[n]}
        assert apart
        assert apart <= set(couple.places["relation"])
        both = couple.places["premise_relation"] + couple.places["hypothesis_relation"]
        assert sorted(both) == couple.places["relation"]
        kinds = ("relation", "subject", "object", "special")
        assert sorted(n for kind in kinds for n in couple.places[kind]) == clean.every


def test_effects_are_those_of_a_plain_loop(drawn):
    encoder, found = drawn
    table = patched(encoder, found, score, batch_size=3)
    assert len(table) == len(found) * 3 * 7

    def said(text, edits=()):
        states = by_hand(encoder, text, edits)[-1]
        return score(torch.nn.functional.normalize(states.mean(0), dim=0)[None]).item()

    for couple in found[::4]:
        clean = by_hand(encoder, together(couple.clean))
        rows = table[table.pair == couple.id].set_index(["layer", "place"])
        ends = said(together(couple.clean)), said(couple.corrupted)
        assert rows.clean.iloc[0] == pytest.approx(ends[0], abs=1e-5)
        assert rows.corrupted.iloc[0] == pytest.approx(ends[1], abs=1e-5)
        for layer in range(3):
            for place, positions in couple.places.items():
                edits = [(layer, n, clean[layer, n]) for n in positions]
                value = said(couple.corrupted, edits)
                assert rows.value[layer, place] == pytest.approx(value, abs=1e-5)
                effect = rows.effect[layer, place]
                assert effect == pytest.approx(value - ends[1], abs=2e-5)


def test_batches_do_not_change_effects(drawn):
    encoder, found = drawn
    one, all = (patched(encoder, found[:3], score, batch_size=n) for n in (1, 64))
    keys = ["pair", "layer", "place"]
    one, all = (t.sort_values(keys).value.to_numpy() for t in (one, all))
    assert abs(one - all).max() < 1e-5


def test_entities_that_are_read_alike_before_any_layer_bring_nothing(drawn):
    encoder, found = drawn
    table = patched(encoder, found, score, 64)
    first = table[table.layer == 0]
    assert first[first.place.isin(["subject", "object", "special"])].effect.abs().max() < 1e-6
    whole = table[table.place.isin(["everything"])]
    assert whole.recovered.dropna().sub(1).abs().max() < 1e-2


def test_the_planted_class_goes_through_the_words_of_the_relation_alone():
    encoder, direction = planted(seed=101)
    made = []
    for number in range(3):
        clean, other = (pair_about(number, name) for name in ("sibling", "mother"))
        read = tokens(encoder, [together(clean)])[0]
        made.append(Couple(clean, "mother", together(other), patched_places(clean, read)))
    table = patched(encoder, made, lambda vectors: vectors @ direction, 64)
    share = table.groupby(["place", "layer"]).recovered.mean()
    assert (table.clean - table.corrupted).min() > 0.3
    for layer in range(LAYERS + 1):
        assert share["relation", layer] == pytest.approx(1, abs=1e-4)
        for side in ("premise", "hypothesis"):
            assert 0.3 < share[f"{side}_relation", layer] < 0.7
        for place in ("subject", "object", "special"):
            assert share[place, layer] == pytest.approx(0, abs=1e-4)


def test_states_in_which_it_is_not_yet_written_write_it_later():
    """Before the layer that writes: the word's own state makes it; a state with the class taken
    out after that layer has none."""
    encoder, direction = planted(seed=101)
    pair = pair_about(0, "sibling")
    states = by_hand(encoder, together(pair))
    at = patched_places(pair, tokens(encoder, [together(pair)])[0])["relation"]
    along = (states[:, at] @ direction).mean(1)
    assert along[WRITES:].min() > 3 * along[:WRITES].abs().max()


def test_estimates_are_ratios_of_sums_over_couples_of_relations():
    rng = np.random.default_rng(0)
    rows = [
        {
            "pair": f"{first}.{n}>{second}",
            "relation": first,
            "other": second,
            "place": "premise_relation",
            "layer": 1,
            "clean": 5 + rng.normal(),
            "corrupted": -5 + rng.normal(),
            "effect": 4 + rng.normal(),
        }
        for first in ("sibling", "possibly_same")
        for second in ("mother", "father", "child")
        for n in range(3)
    ]
    table = pd.DataFrame(rows)
    estimates = patching_estimates(table, seed=0)
    name = "symmetry_where.patching.premise_relation.layer_1.recovered"
    expected = table.effect.sum() / (table.clean - table.corrupted).sum()
    assert estimates[name].value == pytest.approx(expected)
    assert estimates[name].n == estimates["symmetry_where.patching.total"].n == 6
    swapped = table.rename(columns={"clean": "corrupted", "corrupted": "clean"})
    assert patching_estimates(swapped, seed=0)[name].value is None  # nothing to divide by


def test_an_encoder_that_hands_on_more_than_its_states_is_refused(drawn):
    encoder, found = drawn
    ids = []

    def leaking(vectors):
        ids.append(1)
        return score(vectors) + len(ids)

    with pytest.raises(ModelError, match="more from layer to layer"):
        patched(encoder, found, leaking, 64)
