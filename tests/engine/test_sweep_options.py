"""Metrics, interventions, memory and precision of the sweep engine, against the plain loop."""

import copy
import dataclasses
import hashlib

import numpy as np
import peft
import pytest
import torch
from tokenizers.processors import TemplateProcessing

from interp_rc.engine.interventions import (
    Fixed,
    FromModel,
    FromPrompt,
    Mean,
    Noise,
    WithoutAdapters,
    Zero,
)
from interp_rc.engine.sites import Site
from interp_rc.models.load import Loaded
from interp_rc.records.errors import ConfigError, DataError, ModelError
from interp_rc.tools.patching.patching import patch
from tests.engine.loop import FAMILIES, LAYERS, Sweep, aligned, made, word_tokenizer
from tests.engine.loop_pairs import found, pairs, plain, values, words

pytestmark = pytest.mark.usefixtures("precise_softmax")
SHAPES = ("llama", "gpt2", "gpt_neox", "gemma2", "bert")  # one of each adapter
SITES = [
    Site("resid_pre", 0, "source", "all"),
    Site("attn_out", 1, "source", "last"),
    Site("z", 0, "source", "all", head=2),
    Site("mlp_post", 1, "source", "all"),
    Site("resid_post", 1, "prompt", "last"),
    Site("mlp_out", 1, "source", "all", window=3),
    Site("resid_post", 2, "prompt", "last"),
]


def contrasts_of(some):
    return [pair.contrast for pair in some]


def assert_same(effects, some, expected, spread=0.05):
    np.testing.assert_allclose(found(effects, some), expected, rtol=1e-12, atol=1e-12)
    assert np.ptp(expected, axis=1).min() > spread


@pytest.mark.parametrize("metric", ["probability", "logit_difference", "rank", "kl"])
@pytest.mark.parametrize("family", SHAPES)
def test_metrics(plain_models, family, metric):
    model, some = plain_models(family), pairs(family)
    loop = Sweep(model, plain=plain(family))
    effects = patch(model, contrasts_of(some), SITES, metric=metric)
    expected = values(loop, some, SITES, metric=metric)
    least = 0 if metric == "probability" else 1e-12  # probabilities are small themselves
    np.testing.assert_allclose(found(effects, some), expected, rtol=1e-12, atol=least)
    assert np.ptp(expected) > 0.4 * expected.max()
    for which, name in enumerate(("clean", "corrupted")):
        unpatched = [loop.value(pair, which, metric) for pair in some]
        np.testing.assert_allclose(effects.baselines[name], unpatched, rtol=1e-12, atol=1e-12)
    assert (effects.table.metric == metric).all()


@pytest.mark.parametrize("family", SHAPES)
def test_the_logits_of_single_tokens(plain_models, family):
    """Not by way of two sweeps."""
    model, some = plain_models(family), pairs(family)[:1]
    effects = patch(model, contrasts_of(some), SITES, metric="logit_difference", into="clean")
    loop = Sweep(model, into="clean", plain=plain(family))
    assert_same(effects, some, values(loop, some, SITES, metric="logit_difference"))


def test_foils_of_masks_must_not_be_as_long_as_the_target(plain_models):
    """Where they are not asked for."""
    pair = dataclasses.replace(pairs("bert")[3], foil=words("7"))
    effects = patch(plain_models("bert"), [pair.contrast], SITES)
    assert_same(effects, [pair], values(Sweep(plain_models("bert")), [pair], SITES))


@pytest.mark.parametrize("into", ["corrupted", "clean"])
@pytest.mark.parametrize("family", SHAPES)
def test_zeros(plain_models, family, into):
    model, some = plain_models(family), pairs(family)
    loop = Sweep(model, into=into, plain=plain(family))
    effects = patch(model, contrasts_of(some), SITES, into=into, intervention=Zero())
    assert_same(effects, some, values(loop, some, SITES, put=lambda old, _: torch.zeros_like(old)))


@pytest.mark.parametrize("into", ["corrupted", "clean"])
@pytest.mark.parametrize("family", SHAPES)
def test_means(plain_models, family, into):
    """Two sites may name the same tokens in one contrast, and others in another."""
    model, some = plain_models(family), pairs(family)
    loop = Sweep(model, into=into, plain=plain(family))
    windows = [Site("attn_out", 1, "source", "first", window=3)]
    windows += [Site("attn_out", 1, "source", token, window=2) for token in ("last", "all")]
    sites = [*SITES, *windows]
    effects = patch(model, contrasts_of(some), sites, into=into, intervention=Mean())
    expected = [_with_means(loop, some, site, int(into == "clean")) for site in sites]
    assert_same(effects, some, np.array(expected).T)


def _with_means(loop, some, site, giving):
    layers = range(max(0, site.layer - site.window // 2), LAYERS)
    means = []
    for place in [(site.component, layer) for layer in layers]:
        tokens = [aligned(pair, site, pair.target)[giving] for pair in some]
        whole = [loop.unpatched(pair, giving, place, pair.target) for pair in some]
        means.append(sum(w[t].mean(0) for w, t in zip(whole, tokens, strict=True)) / len(some))

    def value(pair):
        of_layers = iter(means)
        return loop.value(pair, site, put=lambda old, _: next(of_layers).expand_as(old))

    return [value(pair) for pair in some]


@pytest.mark.parametrize("into", ["corrupted", "clean"])
@pytest.mark.parametrize("family", SHAPES)
def test_vectors(plain_models, family, into):
    model, some = plain_models(family), pairs(family)[1:3]
    loop = Sweep(model, into=into, plain=plain(family))
    draw = torch.Generator().manual_seed(5)
    for site in SITES:
        size = {"z": 24 if family in ("llama", "gemma2") else 16, "mlp_post": 20}
        vector = torch.randn(size.get(site.component, 16), generator=draw)
        wide = vector.double()
        for add in (False, True):
            if add and site.window > 1:
                continue
            effects = patch(
                model, contrasts_of(some), [site], into=into, intervention=Fixed(vector, add=add)
            )
            expected = values(
                loop, some, [site], put=lambda old, _, v=wide, a=add: v.expand_as(old) + a * old
            )
            np.testing.assert_allclose(found(effects, some), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("family", SHAPES)
def test_noise(plain_models, family):
    model, some = plain_models(family), pairs(family)
    loop = Sweep(model, plain=plain(family))
    sites = [site for site in SITES if site.window == 1]

    def noisy(pair, site):
        text = f"7/{pair.name}/{site.name}"
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
        draw = torch.Generator().manual_seed(seed)

        def put(old, _):
            noise = torch.stack([torch.randn(old.shape[1:], generator=draw) for _ in old])
            return old + 0.5 * noise.double()

        return loop.value(pair, site, put=put)

    expected = np.array([[noisy(pair, site) for site in sites] for pair in some])
    effects = patch(model, contrasts_of(some), sites, intervention=Noise(0.5, seed=7))
    assert_same(effects, some, expected)
    turned = patch(model, contrasts_of(some[::-1]), sites[::-1], intervention=Noise(0.5, seed=7))
    np.testing.assert_allclose(found(turned, some)[::-1, ::-1], expected, rtol=1e-12)


@pytest.mark.parametrize("into", ["corrupted", "clean"])
@pytest.mark.parametrize("family", SHAPES)
def test_bases(plain_models, family, into):
    """A row that repeats the others changes nothing of what all of them span."""
    model, some = plain_models(family), pairs(family)
    loop = Sweep(model, into=into, plain=plain(family))
    basis = torch.randn(3, 16, generator=torch.Generator().manual_seed(2)).double()
    basis = torch.cat([basis, basis[:1] - 2 * basis[1:2]])
    inside = torch.linalg.pinv(basis[:3]) @ basis[:3]
    whole = [Site("resid_post", 1, "source", "all"), Site("attn_out", 0, "source", "last")]
    whole += [Site("resid_pre", 1, "source", "all"), Site("mlp_out", 0, "source", "all")]
    effects = patch(model, contrasts_of(some), whole, into=into, intervention=FromPrompt(basis))
    expected = values(loop, some, whole, put=lambda old, new: old + (new - old) @ inside)
    assert_same(effects, some, expected, 0.005)
    one = basis[3]
    rows = [dataclasses.replace(site, direction=3) for site in whole]
    effects = patch(model, contrasts_of(some), rows, into=into, intervention=FromPrompt(basis))
    along = torch.outer(one, one) / (one @ one)
    assert_same(
        effects, some, values(loop, some, whole, put=lambda o, n: o + (n - o) @ along), 0.005
    )
    assert (effects.table.neuron == 3).all()


@pytest.mark.parametrize("into", ["corrupted", "clean"])
@pytest.mark.parametrize("family", SHAPES)
def test_from_another_model(plain_models, family, into):
    model, other, some = plain_models(family), plain_models(family, 1), pairs(family)
    sites = [*SITES, Site("pattern", 1, "source", "all"), Site("pattern", 0, position=3, head=1)]
    loop = Sweep(model, other=other, into=into, same=True, plain=plain(family))
    for metric in ("log_prob", "kl"):
        effects = patch(
            model,
            contrasts_of(some),
            sites,
            into=into,
            metric=metric,
            intervention=FromModel(other),
        )
        assert_same(effects, some, values(loop, some, sites, metric=metric))


def adapted(family):
    """A tiny model with LoRA that does something, beside the same model without."""
    base = made(family)
    config = peft.LoraConfig(
        r=3,
        target_modules=["q_proj", "v_proj", "o_proj", "down_proj", "embed_tokens", "lm_head"],
        lora_alpha=6,
    )
    whole = peft.get_peft_model(copy.deepcopy(base.model), config)
    draw = torch.Generator().manual_seed(3)
    for name, weight in whole.named_parameters():
        if "lora_" in name:
            weight.data = 0.4 * torch.randn(weight.shape, generator=draw).double()
    whole = whole.double().eval()
    return Loaded(whole.base_model.model, base.tokenizer), base


@pytest.mark.parametrize("into", ["corrupted", "clean"])
def test_without_adapters(into):
    model, base = adapted("llama")
    some = pairs("llama")
    trained = [p.requires_grad for p in model.model.parameters()]
    assert any(trained)
    sites = [*SITES, Site("pattern", 1, "source", "all")]
    loop = Sweep(model, other=base, into=into, same=True)
    for metric in ("log_prob", "kl"):
        effects = patch(
            model,
            contrasts_of(some),
            sites,
            into=into,
            metric=metric,
            intervention=WithoutAdapters(),
        )
        assert_same(effects, some, values(loop, some, sites, metric=metric))
    for which, name in enumerate(("clean", "corrupted")):
        unpatched = [loop.value(pair, which, "kl") for pair in some]
        np.testing.assert_allclose(effects.baselines[name], unpatched, rtol=1e-12, atol=1e-12)
    assert [p.requires_grad for p in model.model.parameters()] == trained
    model.model.requires_grad_(False)
    patch(model, contrasts_of(some), sites[:1], intervention=WithoutAdapters())
    assert not any(p.requires_grad for p in model.model.parameters())


@pytest.mark.parametrize("family", SHAPES)
def test_patterns_of_ragged_prompts(plain_models, family):
    """Zeros and means are as wide as what they replace."""
    model, some = plain_models(family), pairs(family)
    sites = [Site("pattern", 1, position=2), Site("pattern", 0, "source", "first", head=3)]
    if family == "bert":
        with pytest.raises(DataError, match="other positions in the two prompts"):
            patch(model, contrasts_of(some), sites[1:])
        some = some[:2]
    else:
        with pytest.raises(DataError, match="their positions do not match"):
            patch(model, contrasts_of(some), sites[:1])
        sites[0] = dataclasses.replace(sites[1], layer=1, head=None)
    loop = Sweep(model, plain=plain(family))
    for memory in (1, None):
        effects = patch(model, contrasts_of(some), sites, memory=memory)
        assert_same(effects, some, values(loop, some, sites), 0)
        effects = patch(model, contrasts_of(some), sites, intervention=Zero(), memory=memory)
        expected = values(loop, some, sites, put=lambda old, _: torch.zeros_like(old))
        assert_same(effects, some, expected, 0)

        def mean(old, _, site):
            place, wide = (site.component, site.layer), old.shape[-1]
            ones = [
                loop.unpatched(pair, 0, place, pair.target)[aligned(pair, site, pair.target)[0]]
                for pair in some
            ]
            ones = [torch.nn.functional.pad(one.mean(0), (0, 40 - one.shape[-1])) for one in ones]
            return (sum(ones) / len(ones))[None, :, :wide]

        effects = patch(model, contrasts_of(some), sites, intervention=Mean(), memory=memory)
        expected = [
            [loop.value(pair, site, put=lambda o, n, s=site: mean(o, n, s)) for site in sites]
            for pair in some
        ]
        assert_same(effects, some, np.array(expected), 0)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("family", SHAPES)
def test_memory_and_threads_change_nothing(plain_models, family, threads):
    model, contrasts = plain_models(family), contrasts_of(pairs(family))
    sites = [*SITES, Site("resid_pre", 1, "source", "all", window=3), Site("z", 2, "source")]
    whole = found(patch(model, contrasts, sites, metric="kl"), contrasts)
    torch.set_num_threads(threads)
    for memory in (1, 50_000, 10**9):
        parts = found(patch(model, contrasts, sites, metric="kl", memory=memory), contrasts)
        np.testing.assert_allclose(parts, whole, rtol=1e-12, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_float32_is_as_exact_as_the_loop(family):
    """Whose noise is what batches of two sizes, or another order of sums, do to its numbers."""
    model, some = made(family, torch.float32), pairs(family)[::2]
    sites = [*SITES[:5], Site("attn_out", 1, "source", "last", window=3)]
    effects = found(patch(model, contrasts_of(some), sites), some)
    own, *others = (
        values(Sweep(model, plain=way), some, sites, copies=copies, longer=longer)
        for way, copies, longer in (
            (plain(family), 1, 0),
            (plain(family), 8, 0),
            (True, 1, 0),
            (plain(family), 8, 0 if family in ("bert", "roberta") else 9),
        )
    )
    noise = max(np.abs(own - other).max() for other in others)
    assert 0 < noise < 1e-3
    # The largest of three tries is a low guess of what another order can do: 2.4 times it was seen.
    assert np.abs(effects - own).max() <= 4 * noise


@pytest.mark.parametrize(
    ("site", "intervention", "message"),
    [
        (Site("attn_out", 0, "source", direction=0), FromPrompt(), "no such row"),
        (Site("attn_out", 0, "source", direction=2), FromPrompt(torch.eye(2, 16)), "no such row"),
        (Site("attn_out", 0, "source", window=2), FromPrompt(torch.eye(2, 16)), "of one layer"),
        (Site("attn_out", 0, "source"), FromPrompt(torch.eye(2, 8)), "rows of width 8"),
        (Site("attn_out", 0, "source", window=2), Noise(1), "leave the window out"),
        (Site("attn_out", 0, "source", window=2), Fixed(torch.ones(16), add=True), "leave the win"),
        (Site("pattern", 0, "source"), Noise(1), "as wide as its prompt"),
        (Site("attn_out", 0, "source"), Fixed(torch.ones(8)), "vector has shape"),
        (Site("z", 0, "source", head=4), Zero(), r"no z\.0\.h4@source\.last"),
        (Site("mlp_post", 0, "source", neuron=20), Zero(), r"no mlp_post\.0\.n20@source\.last"),
    ],
)
def test_refused(plain_models, site, intervention, message):
    with pytest.raises(ConfigError, match=message):
        patch(
            plain_models("llama"), contrasts_of(pairs("llama")), [site], intervention=intervention
        )


def test_another_model_must_be_alike(plain_models):
    """Its heads would be cut elsewhere, its tokens stand elsewhere, and nothing would say so."""
    model, contrasts = plain_models("llama"), contrasts_of(pairs("llama"))
    fewer = made("qwen2")  # its heads are narrower
    bare = model._replace(tokenizer=word_tokenizer(masked=False))
    bare.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="$A")
    for other, message in ((fewer, "the other model has head_dim"), (bare, "other tokens")):
        with pytest.raises(ModelError, match=message):
            patch(model, contrasts, SITES[:1], intervention=FromModel(other))
