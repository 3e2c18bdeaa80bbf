"""Attribution is the slope of patching, and adds up to the whole along a path of steps."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from interp_rc.engine.effects import COLUMNS
from interp_rc.engine.interventions import FromPrompt
from interp_rc.engine.sites import Site
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.adapters.parts import Place
from interp_rc.models.load import Loaded
from interp_rc.records.errors import ConfigError, DataError
from interp_rc.tools.attribution.attribution import GradientBudget, attribute
from interp_rc.tools.patching.patching import patch
from tests.engine.hooked import Loop
from tests.engine.tiny import end_of, masked, precise

FAMILIES = ["llama", "gpt2", "gpt_neox", "gemma2", "bert"]


@dataclasses.dataclass(frozen=True)
class Towards:
    """A little of the way from what is there to what the other prompt has."""

    share: float

    def at(self, group, place, token):
        old = group.there(place, token)
        return old + self.share * (FromPrompt().at(group, place, token) - old)


def slopes(model, contrasts, sites, **options):
    """Of patching, by central differences."""
    ends = [
        patch(model, contrasts, sites, intervention=Towards(share), **options)
        for share in (1e-5, -1e-5)
    ]
    return (ends[0].table.value - ends[1].table.value) / 2e-5


def sites_of(model):
    """Ragged spans at every component; heads and neurons."""
    places = Adapter(model.model).components
    end = end_of(model.model.config.model_type)
    sites = [
        Site(place.component, place.layer, span, token)
        for place in places
        if place.component != "pattern"
        for span, token in (("source", "last"), ("source", "all"), (end, "last"))
    ]
    sites += [Site("z", layer, "source", "all", head=head) for layer in (0, 1) for head in (0, 1)]
    return sites + [Site("mlp_post", layer, "source", "all", neuron=7) for layer in (0, 1)]


def even(model, contrasts):
    loop = Loop(model)
    return [
        c for c in contrasts if len(loop.ids(c.clean, "x")[0]) == len(loop.ids(c.corrupted, "x")[0])
    ]


@pytest.mark.slow
@pytest.mark.parametrize("shape", FAMILIES)
def test_it_is_the_slope_of_patching(taught, contrasts, shape):
    model = precise(taught, shape)
    some = masked(contrasts[::6]) if shape == "bert" else contrasts[::6]
    for into in ("corrupted", "clean"):
        effects = attribute(model, some, sites_of(model), into=into)
        taking = effects.baselines.set_index("pair")[into].loc[effects.table.pair].to_numpy()
        expected = slopes(model, some, sites_of(model), into=into)
        np.testing.assert_allclose(effects.table.value - taking, expected, atol=2e-8)
        assert np.ptp(expected) > 0.1
        ends = effects.baselines.set_index("pair").corrupted.loc[effects.table.pair].to_numpy()
        np.testing.assert_allclose(effects.table.effect, effects.table.value - ends)


@pytest.mark.parametrize("shape", ["llama", "gemma2", "bert"])
def test_patterns_too(taught, contrasts, shape):
    model = precise(taught, shape)
    given = masked(contrasts) if shape == "bert" else contrasts
    some = even(model, given)[:3]
    sites = [
        Site("pattern", layer, end_of(shape), "last", head=head)
        for layer in (0, 1)
        for head in (None, 0, 1)
    ]
    found = attribute(model, some, sites).table.effect
    np.testing.assert_allclose(found, slopes(model, some, sites), atol=1e-8)
    assert found.abs().max() > 1e-3


@pytest.mark.parametrize("metric", ["probability", "logit_difference", "kl"])
def test_every_metric_with_a_gradient(taught, contrasts, metric):
    """Of targets of one token and of several, whose foils have others."""
    model = precise(taught, "llama")
    one = [dataclasses.replace(c, id=f"{c.id}'", target=" a", foil=" b") for c in contrasts[:2]]
    for some in (contrasts[::6], one):
        sites = sites_of(model)
        effects = attribute(model, some, sites, metric=metric)
        expected = slopes(model, some, sites, metric=metric)
        np.testing.assert_allclose(effects.table.effect, expected, atol=1e-7)
        assert set(effects.table.metric) == {metric}


def test_exact_where_the_metric_is_linear(taught, contrasts):
    """Behind the last attention, without the last norm, logits are linear in these."""
    model = precise(taught, "gpt2")
    model.model.transformer.ln_f = nn.Identity()
    one = [dataclasses.replace(c, target=" a", foil=" b") for c in contrasts]
    sites = [Site(c, 1, "prompt") for c in ("mlp_post", "mlp_out", "resid_post")]
    effects = attribute(model, one, sites, metric="logit_difference")
    exact = patch(model, one, sites, metric="logit_difference")
    np.testing.assert_allclose(effects.table.value, exact.table.value, atol=1e-10)
    assert exact.table.effect.abs().max() > 1


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["llama", "bert"])
def test_steps_add_up_to_the_whole(taught, contrasts, shape):
    """All of the input together: the error of the sum shrinks as one over the steps."""
    model = precise(taught, shape)
    some = even(model, masked(contrasts) if shape == "bert" else contrasts)[:2]
    site = [Site("resid_pre", 0, "prompt", "all")]
    errors = []
    for steps in (1, 32, 128):
        effects = attribute(model, some, site, steps=steps)
        whole = effects.baselines.clean - effects.baselines.corrupted
        errors.append(np.abs(effects.table.effect.to_numpy() - whole.to_numpy()).max())
    assert errors[0] > 10 * errors[1]
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.2)


def test_steps_are_gradients_along_the_way(taught, contrasts):
    """By the model's own forward pass, from embeddings between the two prompts'."""
    model = precise(taught, "llama")
    [contrast, *_] = even(model, contrasts)
    loop = Loop(model)
    (clean, start, _), (corrupted, _, _) = (
        loop.ids(prompt, contrast.target) for prompt in (contrast.clean, contrast.corrupted)
    )
    site = Site("mlp_out", 0, "prompt", "all")
    change = loop.activation(site, contrast.clean, contrast.target) - loop.activation(
        site, contrast.corrupted, contrast.target
    )
    one, other = (model.model.model.embed_tokens(torch.tensor([ids])) for ids in (clean, corrupted))
    kept = {}
    handle = model.model.model.layers[0].mlp.register_forward_hook(
        lambda m, a, out: kept.update(out=out)
    )
    expected = 0.0
    for share in (1 / 3, 2 / 3, 1):
        between = (other + share * (one - other)).requires_grad_()
        log_probs = torch.log_softmax(model.model(inputs_embeds=between).logits[0], -1)
        total = sum(log_probs[t - 1, clean[t]] for t in range(start, len(clean)))
        [gradient] = torch.autograd.grad(total, kept["out"])
        expected += float((gradient[0] * change)[:start].sum()) / 3
    handle.remove()
    found = attribute(model, [contrast], [site], steps=3).table.effect[0]
    assert found == pytest.approx(expected, abs=1e-10)


@pytest.mark.slow
def test_batches_change_nothing(taught, contrasts):
    model = precise(taught, "gpt_neox")
    sites = sites_of(model)
    whole = attribute(model, contrasts, sites).table
    parts = attribute(model, contrasts, sites, memory=1).table
    columns = [c for c in COLUMNS if c not in ("value", "effect", "recovered")]
    assert parts[columns].equals(whole[columns])
    np.testing.assert_allclose(parts.value, whole.value, atol=1e-11)
    exact = patch(model, contrasts, sites).table
    assert exact[columns].equals(whole[columns])
    assert whole[whole.structural_zero].effect.eq(0).all()


@pytest.mark.parametrize("shape", FAMILIES)
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_the_budget_bounds_what_autograd_keeps(taught, contrasts, shape, kind):
    """Parameters that may be trained, as a user's model has them, keep more."""
    model = precise(taught, shape)
    model = Loaded(copy.deepcopy(model.model).to(kind).requires_grad_(), model.tokenizer)
    some = even(model, masked(contrasts) if shape == "bert" else contrasts)[:1]
    parameters = {p.untyped_storage().data_ptr() for p in model.model.parameters()}
    saved = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            saved[storage.data_ptr()] = storage  # held, so that no address comes twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        attribute(model, some, [Site("pattern", 1, end_of(shape))])
    kept = sum(storage.nbytes() for storage in saved.values())
    layers = Adapter(model.model).layerwise
    ids = model.tokenizer(some[0].corrupted + some[0].target).input_ids
    reads = len(model.tokenizer(some[0].target).input_ids)
    bound = GradientBudget(layers, None, reads).of_graph(len(ids), {Place("pattern", 1)})
    assert 0.2 * bound < kept <= bound


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"metric": "rank"}, ConfigError, "a rank has no gradient"),
        ({"sites": [Site("mlp_out", 0, "source", window=2)]}, ConfigError, "of one layer"),
        (
            {"sites": [Site("mlp_out", 0, "source", direction=0)]},
            ConfigError,
            "patch\\(\\) takes windows and directions",
        ),
        ({"steps": 0}, ConfigError, "0 steps"),
        ({"sites": [Site("mlp_out", 9, "source")]}, ConfigError, "no mlp_out.9@source.last"),
    ],
)
def test_refused(taught, contrasts, change, error, message):
    arguments = {"contrasts": contrasts[:2], "sites": [Site("mlp_out", 0, "source")]} | change
    with pytest.raises(error, match=message):
        attribute(taught["llama"], **arguments)


def test_steps_between_prompts_of_other_lengths_are_refused(taught, contrasts):
    model = taught["llama"]
    [odd, *_] = [c for c in contrasts if c not in even(model, contrasts)]
    with pytest.raises(DataError, match=f"contrast '{odd.id.split('|')[0]}.*equally long"):
        attribute(model, [odd], [Site("mlp_out", 0, "source")], steps=2)
