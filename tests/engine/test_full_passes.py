"""Families without an adapter, and modules by their names: full passes find what a loop finds."""

import copy

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    GPTJConfig,
    OPTConfig,
    PhiConfig,
)

from interp_rc.engine.interventions import Zero
from interp_rc.engine.named_sites import named_sites
from interp_rc.engine.sites import Site
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.load import Loaded
from interp_rc.records.errors import ConfigError, ModelError
from interp_rc.tools.patching.patching import patch

SIZE = {"initializer_range": 0.3, "hidden_size": 32, "num_attention_heads": 2}
UNKNOWN = {
    "bloom": (BloomConfig, {"n_layer": 3, "n_head": 2, "hidden_size": 32}, set()),
    "gptj": (GPTJConfig, {"n_layer": 3, "n_embd": 32, "n_head": 2, "rotary_dim": 8}, {"attn_out"}),
    "phi": (
        PhiConfig,
        SIZE | {"num_hidden_layers": 3, "intermediate_size": 48},
        {"attn_out", "mlp_out"},
    ),
    "opt": (
        OPTConfig,
        {"num_hidden_layers": 3, "hidden_size": 32, "num_attention_heads": 2, "ffn_dim": 48}
        | {"word_embed_proj_dim": 32},
        set(),
    ),
}


@pytest.fixture(scope="module", params=UNKNOWN)
def unknown(request, tokenizer):
    kind, size, _ = UNKNOWN[request.param]
    torch.manual_seed(0)
    config = kind(vocab_size=len(tokenizer), bos_token_id=1, eos_token_id=2, **size)
    model = AutoModelForCausalLM.from_config(config).eval().double().requires_grad_(False)
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1 and "embed" not in name:
            parameter.mul_(4)
    return Loaded(model, tokenizer)


def layers_of(model):
    body = model.base_model
    body = getattr(body, "decoder", body)
    return body.h if hasattr(body, "h") else body.layers


def plain(loaded, contrast, module, before, reads, writes):
    """Both prompts' passes with one hook of our own, before or behind a module."""

    def ids(prompt):
        return torch.tensor([loaded.tokenizer(prompt + contrast.target).input_ids])

    kept = {}

    def value_of(args, kwargs, out):
        if before:
            return args[0] if args else kwargs["hidden_states"]
        return out[0] if isinstance(out, tuple) else out

    def look(_, args, kwargs, out=None):
        kept["x"] = value_of(args, kwargs, out)

    def put(_, args, kwargs, out=None):
        value = value_of(args, kwargs, out).clone()
        value[0, writes] = kept["x"][0, reads]
        if before:
            return (
                ((value, *args[1:]), kwargs) if args else (args, kwargs | {"hidden_states": value})
            )
        return (value, *out[1:]) if isinstance(out, tuple) else value

    for hook, prompt in ((look, contrast.clean), (put, contrast.corrupted)):
        if before:
            handle = module.register_forward_pre_hook(hook, with_kwargs=True)
        else:
            handle = module.register_forward_hook(hook, with_kwargs=True)
        logits = loaded.model(input_ids=ids(prompt), use_cache=False).logits[0]
        handle.remove()
    target = ids(contrast.corrupted)[0]
    start = len(loaded.tokenizer(contrast.corrupted).input_ids)
    log_probs = torch.log_softmax(logits, -1)
    return sum(log_probs[i - 1, target[i]].item() for i in range(start, len(target)))


def positions(loaded, contrast, span):
    found = []
    for prompt, where in zip((contrast.clean, contrast.corrupted), span, strict=True):
        encoded = loaded.tokenizer(prompt, return_offsets_mapping=True).offset_mapping
        found.append(
            [i for i, (a, b) in enumerate(encoded) if a < where.end and b > where.start][-1]
        )
    return found


def test_equal_to_a_plain_loop(unknown, contrasts):
    some = contrasts[::5]
    places = Adapter(unknown.model).places
    sites = [
        Site(place.component, place.layer, "source")
        for place in places
        if place.component in ("resid_pre", "resid_post")
    ]
    with pytest.warns(UserWarning, match="exact but slow"):
        found = patch(unknown, some, sites).table.value.to_numpy()
    expected = []
    for contrast in some:
        read, write = positions(unknown, contrast, contrast.spans["source"])
        for site in sites:
            module, before = layers_of(unknown.model)[site.layer], site.component == "resid_pre"
            expected.append(plain(unknown, contrast, module, before, read, write))
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)
    assert np.ptp(expected) > 0.1


def test_only_what_is_proven_is_offered(unknown, contrasts):
    offered = {place.component for place in Adapter(unknown.model).places}
    *_, more = UNKNOWN[unknown.model.config.model_type]
    assert {"resid_pre", "resid_post"} <= offered
    assert more - offered <= {"attn_out"}
    with pytest.raises(ConfigError, match=r"no z\.0@A\.last"):
        patch(unknown, contrasts[:1], [Site("z", 0, "A")])


def test_a_module_by_its_name_is_the_component_that_it_is(taught, contrasts):
    model = Loaded(copy.deepcopy(taught["gpt2"].model).double(), taught["gpt2"].tokenizer)
    some = contrasts[1::6]
    by_name = patch(model, some, [Site("transformer.h.0.mlp", 0, "source", "all")])
    known = patch(model, some, [Site("mlp_out", 0, "source", "all")])
    np.testing.assert_allclose(by_name.table.value, known.table.value, atol=1e-11)
    assert set(by_name.table.site) == {"transformer.h.0.mlp"}
    assert known.table.effect.abs().max() > 0.01
    zero = [
        patch(model, some, [Site(name, layer, "source")], intervention=Zero()).table.value
        for name, layer in (("transformer.h.0.attn", 0), ("attn_out", 0))
    ]
    np.testing.assert_allclose(*zero, atol=1e-11)


def test_modules_are_named_in_a_text(taught, contrasts):
    model = taught["llama"]
    [site] = named_sites(model, contrasts, ["model.layers.0.mlp.up_proj@source.first"])
    assert (site.component, site.span, site.token) == (
        "model.layers.0.mlp.up_proj",
        "source",
        "first",
    )
    effects = patch(model, contrasts[:3], [site])
    assert effects.table.effect.abs().max() > 0
    assert len(effects.estimates()) == effects.table.order.nunique()


@pytest.mark.parametrize(
    ("sites", "error", "message"),
    [
        (["model.layers.9.mlp"], ConfigError, "no model.layers.9.mlp"),
        (["model.layers.0.mlp", "z"], ConfigError, "is not changed together with modules"),
        (["model.rotary_emb"], ModelError, "gives no vector for each token"),
    ],
)
def test_refused(taught, contrasts, sites, error, message):
    with pytest.raises(error, match=message):
        patch(taught["llama"], contrasts[:2], [Site(name, 0, "source") for name in sites])
