"""The sweep engine against whole forwards, in every family, at every kind of site."""

import numpy as np
import pytest
import torch

from interp_rc.mechanism.patching import patch
from interp_rc.mechanism.sites import Site
from tests.mechanism.loop import FAMILIES, LAYERS, MASK, MASKED, Pair, PlainLoop, Sweep, made, read

COMPONENTS = ("resid_pre", "z", "attn_out", "resid_mid", "mlp_post", "mlp_out", "resid_post")


@pytest.fixture(autouse=True)
def _precise_softmax(monkeypatch):
    """Models that cap scores round the softmax to float32, where a last bit of float64 decides."""
    own = torch.softmax

    def softmax(value, dim, dtype=None):
        return own(value, dim, dtype=None if value.dtype == torch.float64 else dtype)

    monkeypatch.setattr(torch, "softmax", softmax)


def words(text):
    """Words by their numbers; `_` is a mask."""
    return [MASK if one == "_" else f"w{one}" for one in text.split()]


def pairs(family):
    """Ragged sources and prompts; targets of one and of three tokens."""
    if family in MASKED:
        return [
            Pair("one", words("3 4 5 _ 6"), words("3 7 8 _ 6"), ((1, 3), (1, 3)), words("20")),
            Pair("even", words("3 4 5 _"), words("13 14 15 _"), ((0, 3), (0, 3)), words("26 27")),
            Pair(
                "three",
                words("9 1 2 8 7 _ 6 4"),
                words("9 3 _ 6 4"),
                ((1, 4), (1, 2)),
                words("21 22 23"),
            ),
            Pair(
                "masks",
                words("_ 5 5 8 _"),
                words("_ 6 2 9 9 9 _"),
                ((1, 3), (1, 4)),
                words("24 25"),
            ),
        ]
    return [
        Pair("one", words("3 4 5 6 11"), words("3 7 8 6 11"), ((1, 3), (1, 3)), words("20")),
        Pair("even", words("3 4 5 6"), words("13 14 15 16"), ((0, 3), (0, 3)), words("26 27")),
        Pair(
            "three",
            words("9 10 1 2 8 7 6 4 3"),
            words("9 10 3 6 4 3"),
            ((2, 5), (2, 3)),
            words("21 22 23"),
        ),
        Pair("longer", words("5 6 8 1"), words("5 2 9 6 8 12 1"), ((1, 2), (1, 4)), words("24 25")),
    ]


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


def values(sweep, some, sites, **kwargs):
    return np.array([[sweep.value(pair, site, **kwargs) for site in sites] for pair in some])


def found(effects, some):
    return effects.table.value.to_numpy().reshape(len(some), -1)


@pytest.fixture(scope="module")
def models():
    made_already = {}

    def get(family, seed=0):
        if (family, seed) not in made_already:
            made_already[family, seed] = made(family, seed=seed)
        return made_already[family, seed]

    return get


def plain(family):
    return family == "gemma2"  # its own attention rounds to float32


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loop_is_the_model(models, family):
    """Its attention gives the model's own logits, and its tokens are the tokenizer's."""
    model = models(family)
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


@pytest.mark.parametrize("into", ["corrupted", "clean"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_site(models, family, into):
    model, some, sites = models(family), pairs(family), sites_of(family)
    even = [pair for pair in some if len(pair.clean) == len(pair.corrupted)]
    patterns = [site for site in sites if site.component == "pattern"]
    sites = [site for site in sites if site.component != "pattern"]
    if into == "clean":
        sites = sites[::3]
    loop = Sweep(model, into=into, plain=plain(family))
    for chosen, asked in ((some, sites), (even, patterns)):
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
