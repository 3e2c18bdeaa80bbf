"""The sweep engine against whole forwards, in every family, at every kind of site."""

import numpy as np
import pytest
import torch

from interp_rc.engine.sites import Site
from interp_rc.tools.patching.patching import patch
from tests.engine.loop import FAMILIES, LAYERS, MASKED, PlainLoop, Sweep, read
from tests.engine.loop_pairs import found, pairs, plain, values

pytestmark = pytest.mark.usefixtures("precise_softmax")

COMPONENTS = ("resid_pre", "z", "attn_out", "resid_mid", "mlp_post", "mlp_out", "resid_post")
PLACES = [("source", "first"), ("source", "last"), ("prompt", "last"), ("source", "first")]
WINDOWED = ("attn_out", "mlp_out", "resid_post", "z", "resid_pre")


def sites_of(family):
    """Every component in every layer at a whole span and at one token; heads, neurons, windows."""
    found = []
    for layer in range(LAYERS):
        for n, component in enumerate(COMPONENTS):
            if component == "resid_mid" and family == "gpt_neox":
                continue
            found.append(Site(component, layer, "source", "all"))
            found.append(Site(component, layer, *PLACES[(n + layer) % 4]))
        found += [
            Site("pattern", layer, "prompt", "last"),
            Site("pattern", layer, "source", "all"),
            Site("pattern", layer, position=4, head=layer),
            Site("z", layer, "source", "all", head=layer),
            Site("z", layer, "source", "last", head=3),
            Site("mlp_post", layer, "source", "all", neuron=7),
            Site("mlp_post", layer, "prompt", "last", neuron=19),
            Site("mlp_post", layer, "source", "all", window=2),
            Site("resid_pre", layer, "prompt", "last", window=3),
        ]
        found += [Site(component, layer, "source", "all", window=3) for component in WINDOWED]
        found += [Site(WINDOWED[layer], layer, "source", "first", window=2)]
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loop_is_the_model(plain_models, family):
    """Its attention gives the model's own logits, and its tokens are the tokenizer's."""
    model = plain_models(family)
    for pair in pairs(family):
        ids, reads, _ = read(pair.clean, pair.target)
        contrast = pair.contrast
        if family not in MASKED:
            assert model.tokenizer(contrast.clean + contrast.target).input_ids == ids
        own, _ = PlainLoop(model).run(ids)
        again, _ = PlainLoop(model, plain=True).run(ids)
        tolerance = 1e-5 if plain(family) else 1e-12
        torch.testing.assert_close(own, again, rtol=tolerance, atol=tolerance)
        assert own[reads].std() > 0.5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "into"),
    [(family, "corrupted") for family in FAMILIES]
    + [(family, "clean") for family in FAMILIES[::2]],
)
def test_every_site(plain_models, family, into):
    model, some, sites = plain_models(family), pairs(family), sites_of(family)
    even = [pair for pair in some if len(pair.clean) == len(pair.corrupted)]
    patterns = [site for site in sites if site.component == "pattern"]
    sites = [site for site in sites if site.component != "pattern"]
    if into == "clean":
        sites = sites[::3]
    loop = Sweep(model, into=into, plain=plain(family))
    ragged = [some[0], *some[2:]]
    for chosen, asked in ((ragged, sites), (even, patterns)):
        effects = patch(model, [pair.contrast for pair in chosen], asked, into=into)
        expected = values(loop, chosen, asked)
        np.testing.assert_allclose(found(effects, chosen), expected, rtol=1e-12, atol=1e-12)
        for which, name in enumerate(("clean", "corrupted")):
            unpatched = [loop.value(pair, which) for pair in chosen]
            np.testing.assert_allclose(effects.baselines[name], unpatched, rtol=1e-12)
        changes = np.abs(expected - effects.baselines[into].to_numpy()[:, None])
        for component in {site.component for site in asked}:
            here = [site.component == component for site in asked]
            assert changes[:, here].max() > 0.05, component
