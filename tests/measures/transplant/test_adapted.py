"""An adapter switched on in some modules: against merging it there by hand."""

import copy

import pytest
import torch
from peft.tuners.lora import LoraLayer

from interp_rc.measures.transplant.asking import Asking
from interp_rc.measures.transplant.pair import Adapted, Whole, changed, pair_of
from interp_rc.measures.transplant.single import said
from interp_rc.models.load import Loaded, load, save
from interp_rc.models.scoring import score
from interp_rc.records.errors import ModelError
from interp_rc.tools.weights.exchange import exchanged
from interp_rc.tools.weights.sites import WeightSite, matrices, units
from tests.models.test_lora import adapted, saved

KINDS = {
    "plain": {},
    "some": {"target_modules": ["q_proj", "v_proj"]},
    "dora": {"use_dora": True},
    "trained whole": {"modules_to_save": ["lm_head"]},
}


@pytest.fixture(
    params=[
        ("llama", "plain"),
        ("gpt2", "plain"),
        ("gpt_neox", "plain"),
        ("llama", "some"),
        ("llama", "dora"),
        ("llama", "trained whole"),
    ],
    ids=" ".join,
)
def found(request, taught, tmp_path):
    """The adapted model as it is loaded, its base, and both merged by PEFT."""
    shape, kind = request.param
    base = taught[shape]
    save(base, tmp_path / "base")
    made = adapted(base, tmp_path / "base", **KINDS[kind])
    saved(made, tmp_path / "adapter")
    merged = Loaded(copy.deepcopy(made).merge_and_unload().eval(), base.tokenizer)
    return load(tmp_path / "adapter"), base, merged


@pytest.fixture
def asking(found, contrasts):
    some = contrasts[:6]
    return Asking(found[1], some)


def loosened(base, merged):
    """The base with rows of its own where training them whole has untied them."""
    embedding, head = merged.model.get_input_embeddings(), merged.model.get_output_embeddings()
    if embedding.weight is head.weight:
        return base
    own = copy.deepcopy(base.model)
    head = own.get_output_embeddings()
    head.weight = torch.nn.Parameter(head.weight.detach().clone())
    return Loaded(own, base.tokenizer)


def close(one, other):
    torch.testing.assert_close(one, other, rtol=2e-3, atol=2e-3)  # merging rounds


def test_all_modules_are_the_adapted_model_and_none_is_the_base(found, asking, contrasts):
    model, base, _ = found
    pair = pair_of(None, model)
    assert isinstance(pair, Adapted)
    everything = units(pair.adapter("given"))
    texts = [c.clean for c in contrasts[:6]], [c.target for c in contrasts[:6]]
    adapted_says, base_says = (score(*one, *texts).log_prob for one in (model, base))
    for act, none, every in (
        ("given", base_says, adapted_says),
        ("taken", adapted_says, base_says),
    ):
        torch.testing.assert_close(said(pair, act, [], asking).own, none, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(said(pair, act, everything, asking).own, every,
                                   rtol=1e-5, atol=1e-5)  # fmt: skip
    assert (adapted_says - base_says).abs().min() > 1e-3


@pytest.mark.slow
def test_each_site_is_as_between_whole_models(found, asking):
    model, base, merged = found
    pair, whole = Adapted(model), Whole(loosened(base, merged), merged)
    adapter = pair.adapter("given")
    for site in [*units(adapter), *matrices(adapter)]:
        for act in ("given", "taken"):
            close(said(pair, act, [site], asking).own, said(whole, act, [site], asking).own)
        assert pair.square(site) == pytest.approx(whole.square(site), rel=1e-3, abs=1e-6)
    mine, theirs = (changed(one, matrices(adapter)) for one in (pair, whole))
    assert mine == theirs


def test_afterwards_all_is_as_before(found):
    model, _, _ = found
    pair = Adapted(model)
    layers = [m for m in model.model.modules() if isinstance(m, LoraLayer)]
    trained = [p.requires_grad for p in model.model.parameters()]
    for act in ("given", "taken"):
        with pytest.raises(KeyError), pair.moved(act, [WeightSite("attention", 0)]):
            assert len({layer.disable_adapters for layer in layers}) == 2
            raise KeyError
        assert not any(layer.disable_adapters for layer in layers)
        assert trained == [p.requires_grad for p in model.model.parameters()]


def test_neurons_of_an_adapter_are_refused(found):
    model, base, _ = found
    with pytest.raises(ModelError, match="switched on in whole modules, not in neurons"):
        Adapted(model).switches(WeightSite("key", 0, 3))
    with pytest.raises(ModelError, match="merge it into its model"), exchanged(base, model, []):
        pass
