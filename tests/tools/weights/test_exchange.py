"""Weights exchanged and put back: against copies that a plain loop writes."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interp_rc.measures.transplant.asking import Asking
from interp_rc.measures.transplant.pair import Whole, pair_of
from interp_rc.measures.transplant.single import said
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.load import Loaded
from interp_rc.models.scoring import score
from interp_rc.records.errors import ModelError, ScoringError
from interp_rc.tools.weights.exchange import exchanged, weights_of
from interp_rc.tools.weights.sites import WeightSite, matrices, units
from tests.conftest import SHAPES, untaught
from tests.engine.tiny import precise
from tests.tools.weights.conftest import kept, other_than, same

IDS = torch.tensor([[1, 40, 50, 60, 70, 80, 90]])
# What each part is called in each family, written down again.
NAMES = {
    "llama": ("layers.{}.self_attn.", "layers.{}.mlp.", "embed_tokens", "lm_head"),
    "qwen2": ("layers.{}.self_attn.", "layers.{}.mlp.", "embed_tokens", "lm_head"),
    "gpt2": ("h.{}.attn.", "h.{}.mlp.", "wte|wpe", "lm_head"),
    "gpt_neox": ("layers.{}.attention.", "layers.{}.mlp.", "embed_in", "embed_out|lm_head"),
}


def logits(model):
    with torch.no_grad():
        return model(IDS).logits


def by_hand(base, finetuned, fits):
    """A copy of the base, untied, whose state has the finetuned values where the name `fits`."""
    model = copy.deepcopy(base.model)
    head = model.get_output_embeddings()
    head.weight = torch.nn.Parameter(head.weight.detach().clone())
    state, theirs = model.state_dict(), finetuned.model.state_dict()
    model.load_state_dict({n: theirs[n] if fits(n) else w for n, w in state.items()})
    return model


@pytest.fixture(params=SHAPES)
def pair(request, pairs):
    return (*pairs[request.param], request.param)


def test_units_are_what_their_names_say(pair):
    base, finetuned, shape = pair
    attention, mlp, embedding, head = NAMES[shape]
    known = {"input_embedding": embedding, "output_rows": head}
    known |= {f"attention.{n}": attention.format(n) for n in (0, 1)}
    known |= {f"mlp.{n}": mlp.format(n) for n in (0, 1)}

    def has(name, part):
        return any(word in name for word in known[part].split("|"))

    before = kept(base)
    for site in units(Adapter(base.model)):
        if site.part == "norms":

            def fits(name):
                return not any(has(name, part) for part in known)
        else:

            def fits(name, part=site.name):
                return has(name, part)

        expected = logits(by_hand(base, finetuned, fits))
        with exchanged(base, finetuned, [site]):
            assert torch.equal(logits(base.model), expected)
        assert not torch.equal(expected, logits(base.model))
    assert same(before, kept(base))


def test_all_units_are_the_other_model_and_none_is_itself(pair):
    base, finetuned, _ = pair
    everything = units(Adapter(base.model))
    with exchanged(base, finetuned, everything):
        assert torch.equal(logits(base.model), logits(finetuned.model))
        assert same(kept(base), kept(finetuned))
    own = logits(base.model)
    with exchanged(base, finetuned, []):
        assert torch.equal(logits(base.model), own)


def test_matrices_with_their_biases_are_the_layers(pair):
    base, finetuned, shape = pair
    _, mlp, *_ = NAMES[shape]
    mine = [m for m in matrices(Adapter(base.model)) if mlp.format(1) in f"{m.name}."]
    with exchanged(base, finetuned, mine):
        found = kept(base)
    with exchanged(base, finetuned, [WeightSite("mlp", 1)]):
        assert same(found, kept(base))
    assert 2 <= len(mine) <= 3


def test_keys_and_values_of_all_neurons_are_the_mlp_but_for_the_last_bias(pair):
    base, finetuned, _ = pair
    down = Adapter(base.model).parts.blocks[0].down
    neurons = down.weight.numel() // 32
    sites = [WeightSite(part, 0, n) for n in range(neurons) for part in ("key", "value")]
    with exchanged(base, finetuned, sites):
        found = kept(base)
    with exchanged(base, finetuned, [WeightSite("mlp", 0)]):
        whole = kept(base)
    different = {name for name in whole if not torch.equal(found[name], whole[name])}
    last = [n for n, p in base.model.named_parameters() if p is getattr(down, "bias", None)]
    assert different == set(last)


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_any_sites_are_put_back_also_after_an_error(data, pairs):
    base, finetuned = pairs[data.draw(st.sampled_from(SHAPES))]
    adapter = Adapter(base.model)
    every = [*units(adapter), *matrices(adapter)]
    every += [WeightSite(part, 1, n) for part in ("key", "value") for n in (0, 7)]
    some = data.draw(st.lists(st.sampled_from(every), unique=True))
    before, opened = kept(base), [p.requires_grad for p in base.model.parameters()]
    with pytest.raises(ZeroDivisionError), exchanged(base, finetuned, some):
        assert same(before, kept(base)) == (not some)
        raise ZeroDivisionError
    assert same(before, kept(base))
    assert opened == [p.requires_grad for p in base.model.parameters()]


@pytest.mark.parametrize("shape", ["llama", "gpt2"])
def test_tied_rows_are_tied_again(tokenizer, shape):
    """The shape's own tying: both uses of the one matrix are exchanged each."""
    base = untaught(tokenizer, shape)
    base.model.config.tie_word_embeddings = True
    base.model.tie_weights()
    finetuned = other_than(base, scale=1.0)
    own, head = base.model.get_input_embeddings(), base.model.get_output_embeddings()
    assert own.weight is head.weight
    with exchanged(base, finetuned, [WeightSite("output_rows")]):
        assert torch.equal(head.weight, finetuned.model.get_output_embeddings().weight)
        assert not torch.equal(head.weight, own.weight)
    assert own.weight is head.weight
    with exchanged(base, finetuned, units(Adapter(base.model))):
        assert torch.equal(logits(base.model), logits(finetuned.model))
    assert own.weight is head.weight
    assert finetuned.model.get_input_embeddings().weight is (
        finetuned.model.get_output_embeddings().weight
    )


def test_questions_are_scored_as_the_scorer_does(pair, contrasts):
    base, finetuned, _ = pair
    prompts, targets = [c.clean for c in contrasts], [c.target for c in contrasts]
    asking, whole = Asking(base, contrasts), Whole(base, finetuned)
    torch.testing.assert_close(
        said(whole, "given", [], asking).own,
        score(*base, prompts, targets).log_prob, rtol=1e-5, atol=1e-5,
    )  # fmt: skip
    site = WeightSite("mlp", 1)
    with exchanged(finetuned, base, [site]):
        expected = score(*finetuned, prompts, targets).log_prob
    found = said(whole, "taken", [site], asking).own
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_models_that_do_not_fit_are_refused(taught, tokenizer):
    llama = taught["llama"]

    def refused(other, message):
        with pytest.raises(ModelError, match=message), exchanged(llama, other, []):
            pass

    refused(taught["gpt2"], "of one architecture; only the")
    refused(untaught(tokenizer, "llama", width=48), "of one shape and precision; .* is ")
    refused(Loaded(copy.deepcopy(llama.model).double(), llama.tokenizer), "float64 in the other")
    words = copy.deepcopy(llama.tokenizer)
    words.add_tokens(["quite-another-word"])
    refused(Loaded(llama.model, words), "the two models read other tokens")
    refused(Loaded(copy.deepcopy(llama.model).to("meta"), llama.tokenizer), "not in memory")
    with pytest.raises(ModelError, match="give the base"):
        pair_of(None, llama)
    bert = precise(taught, "bert")
    with pytest.raises(ScoringError, match="fills in masks"):
        Whole(bert, bert)


def test_one_of_two_that_ties_its_rows_is_refused(tokenizer):
    tied, loose = untaught(tokenizer, "gpt2"), untaught(tokenizer, "gpt2")
    tied.model.config.tie_word_embeddings = True
    tied.model.tie_weights()
    head = loose.model.get_output_embeddings()
    head.weight = torch.nn.Parameter(head.weight.detach().clone())
    with pytest.raises(ModelError, match="tied to the embedding in only one"):
        Whole(tied, loose)


def test_squares_add_up_to_the_whole_difference(pair):
    base, finetuned, _ = pair
    whole = Whole(base, finetuned)
    found = sum(whole.square(site) for site in units(Adapter(base.model)))
    one, other = weights_of(base), weights_of(finetuned)
    expected = sum(float((other[n].double() - one[n].double()).square().sum()) for n in one)
    assert found == pytest.approx(expected, rel=1e-9)
