"""Patching is what a plain loop and a peer find, whatever the batch."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from interp_rc.engine.effects import COLUMNS
from interp_rc.engine.sites import Site
from interp_rc.models.load import Loaded
from interp_rc.records.errors import ConfigError, DataError
from interp_rc.records.nouns import Span
from interp_rc.tools.patching.patching import noise_floors, patch
from tests.engine.hooked import Loop, sites_of

ALL = ("resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post")


def components(model):
    return [c for c in ALL if c != "resid_mid" or model.config.model_type != "gpt_neox"]


@pytest.fixture(scope="module")
def precise(taught):
    return {
        shape: Loaded(copy.deepcopy(model.model).double(), model.tokenizer)
        for shape, model in taught.items()
    }


@pytest.mark.parametrize("shape", ["llama", "gpt2", "gpt_neox", "qwen2"])
def test_equal_to_a_plain_loop_in_float64(precise, contrasts, shape):
    model = precise[shape]
    some, sites = contrasts[::5], sites_of(components(model.model))
    effects = patch(model, some, sites)
    loop = Loop(model)
    expected = [loop.patched(contrast, site) for contrast in some for site in sites]
    found = effects.table.value.to_numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    assert np.ptp(expected) > 0.1
    for contrast, (_, row) in zip(some, effects.baselines.iterrows(), strict=True):
        assert row.clean == pytest.approx(loop.log_prob(contrast.clean, contrast.target), abs=1e-11)
        corrupted = loop.log_prob(contrast.corrupted, contrast.target)
        assert row.corrupted == pytest.approx(corrupted, abs=1e-11)


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["llama", "gpt2", "gpt_neox", "qwen2"])
def test_as_near_to_the_truth_in_float32_as_a_plain_loop(taught, precise, contrasts, shape):
    """The truth is the loop in float64; how far float32 is off differs from processor to
    processor, and with batches of eight and padding."""
    model, loop = taught[shape], Loop(taught[shape])
    some, sites = contrasts[1::9], sites_of(components(model.model))
    found = patch(model, some, sites).table.value.to_numpy()
    true = np.array([Loop(precise[shape]).patched(c, s) for c in some for s in sites])
    one = np.array([loop.patched(c, s) for c in some for s in sites])
    many = np.array([loop.patched(c, s, copies=8, longer=9) for c in some for s in sites])
    off = max(np.abs(one - true).max(), np.abs(many - true).max())
    assert 0 < off < 1e-4
    assert np.abs(found - true).max() <= 2 * off


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["llama", "gpt2", "gpt_neox", "qwen2"])
def test_equal_to_transformer_lens(precise, contrasts, shape, tmp_path):
    """Where it is right: everywhere but `resid_mid`, which is an alias of the norm's input."""
    bridges = pytest.importorskip("transformer_lens.model_bridge")
    loaded = precise[shape]
    loaded.tokenizer.save_pretrained(tmp_path)
    loaded.model.config.save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)  # it is loaded again by its name
    bridge = bridges.TransformerBridge.boot_transformers(
        "tiny", hf_model=copy.deepcopy(loaded.model), tokenizer=tokenizer, dtype=torch.float64
    )
    names = {
        "resid_pre": "hook_resid_pre",
        "attn_out": "hook_attn_out",
        "mlp_out": "hook_mlp_out",
        "resid_post": "hook_resid_post",
        "z": "attn.hook_z",
        "mlp_post": "mlp.hook_post",
    }
    sites = [s for s in sites_of(list(names)) if s.token != "all"]
    some, loop = contrasts[2::12], Loop(loaded)
    expected = []
    for contrast in some:
        clean, _, _ = loop.ids(contrast.clean, contrast.target)
        corrupted, start, _ = loop.ids(contrast.corrupted, contrast.target)
        with torch.no_grad():
            _, cache = bridge.run_with_cache(torch.tensor([clean]))
        for site in sites:
            name = f"blocks.{site.layer}.{names[site.component]}"
            spans = contrast.spans.get(site.span) or [
                Span(0, len(contrast.clean)),
                Span(0, len(contrast.corrupted)),
            ]
            [read] = loop.positions(contrast.clean, contrast.target, spans[0], site.token)
            [write] = loop.positions(contrast.corrupted, contrast.target, spans[1], site.token)

            def put(value, hook, new=cache[name][0, read], write=write):
                value = value.clone()
                value[:, write] = new
                return value

            with torch.no_grad():
                logits = bridge.run_with_hooks(torch.tensor([corrupted]), fwd_hooks=[(name, put)])[
                    0
                ]
            log_probs = torch.log_softmax(logits, -1)
            expected.append(
                sum(log_probs[i - 1, corrupted[i]].item() for i in range(start, len(corrupted)))
            )
    found = patch(loaded, some, sites).table.value
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("memory", [1, 200_000, 2_000_000])
def test_batches_change_nothing(precise, contrasts, memory):
    sites = sites_of(["attn_out", "resid_post"])
    whole = patch(precise["llama"], contrasts, sites)
    parts = patch(precise["llama"], contrasts, sites, memory=memory)
    columns = [c for c in COLUMNS if c not in ("value", "effect", "recovered")]
    assert parts.table[columns].equals(whole.table[columns])
    np.testing.assert_allclose(parts.table.value, whole.table.value, atol=1e-12)


def test_the_table(precise, contrasts):
    effects = patch(precise["gpt2"], contrasts, sites_of(["mlp_out"]))
    table = effects.table
    assert list(table.columns) == COLUMNS
    assert table.pair.tolist() == [c.id for c in contrasts for _ in range(8)]
    ends = effects.baselines.set_index("pair").loc[table.pair]
    np.testing.assert_allclose(table.effect, table.value - ends.corrupted.to_numpy())
    np.testing.assert_allclose(
        table.recovered * (ends.clean - ends.corrupted).to_numpy(), table.effect
    )
    assert table[table.token == "all"].position.isna().all()
    assert table[table.token != "all"].position.notna().all()
    assert table["head"].isna().all()


def test_noising_is_denoising_the_other_way_round(precise, contrasts):
    """Into the clean prompt goes what the swapped contrast calls clean."""
    swapped = [
        dataclasses.replace(
            c, clean=c.corrupted, corrupted=c.clean, spans={"source": c.spans["source"][::-1]}
        )
        for c in contrasts
    ]
    sites = sites_of(["resid_post", "attn_out"])
    noised = patch(precise["llama"], contrasts, sites, into="clean").table
    other = patch(precise["llama"], swapped, sites).table
    np.testing.assert_allclose(noised.value, other.value, atol=1e-12)
    assert noised.position.equals(other.position)


def test_the_whole_source_at_the_input_is_the_clean_prompt(precise, contrasts):
    """Where both sources have as many tokens, nothing else differs."""
    loop = Loop(precise["llama"])
    even = [
        c
        for c in contrasts
        if len(loop.ids(c.clean, c.target)[0]) == len(loop.ids(c.corrupted, c.target)[0])
    ]
    assert even
    table = patch(precise["llama"], even, [Site("resid_pre", 0, "source", "all")]).table
    np.testing.assert_allclose(table.recovered, 1, atol=1e-9)
    assert not table.structural_zero.any()


def test_structural_zeros_are_zeros_and_the_others_are_not(precise, contrasts):
    for shape in ("llama", "gpt_neox"):
        model = precise[shape]
        table = patch(model, contrasts, sites_of(components(model.model))).table
        zero = table[table.structural_zero]
        assert 0 < len(zero) < len(table)
        assert zero.effect.abs().max() < 1e-11
        other = table[~table.structural_zero & (table.effect.abs() < 1e-11)]
        # The same token further on, before any attention: rotary models cannot tell.
        before_attention = {("resid_pre", 0), ("mlp_out", 0)}
        assert set(zip(other.site, other.layer, strict=True)) <= before_attention


def test_a_prompt_patched_into_itself_stays(taught, precise, contrasts):
    sites = sites_of(["resid_pre", "resid_mid", "mlp_out"])
    floors = noise_floors(precise["llama"], contrasts, sites)
    assert len(floors) == 6
    assert floors.floor.between(0, 1e-11, inclusive="neither").all()
    assert noise_floors(taught["llama"], contrasts, sites).floor.between(1e-9, 1e-4).all()


def test_positions(precise, contrasts):
    loop = Loop(precise["llama"])
    even = [
        c for c in contrasts if loop.ids(c.clean, c.target)[1] == loop.ids(c.corrupted, c.target)[1]
    ]
    assert even
    table = patch(precise["llama"], even, [Site("resid_pre", 0, position=0)]).table
    assert table.structural_zero.all()  # the same first token
    assert (table.effect == 0).all()
    assert table.span.isna().all()
    assert (table.position == 0).all()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"metric": "size"}, ConfigError, "no metric 'size'; known: log_prob"),
        ({"into": "both"}, ConfigError, "no into 'both'; known: corrupted, clean"),
        ({"contrasts": []}, ConfigError, "nothing to patch"),
        ({"sites": [Site("mlp_out", 7, "source")]}, ConfigError, "no mlp_out.7@source.last"),
        (
            {"sites": [Site("mlp_out", 0, "verb")]},
            DataError,
            "no span 'verb'; it has A, B, prompt, source",
        ),
        ({"sites": [Site("mlp_out", 0, position=1)]}, DataError, "their positions do not match"),
    ],
)
def test_refused(taught, contrasts, change, error, message):
    arguments = {"contrasts": contrasts[:2], "sites": [Site("mlp_out", 0, "source")]} | change
    with pytest.raises(error, match=message):
        patch(taught["llama"], **arguments)


def test_contrasts_that_cannot_be_patched_are_named(taught, contrasts):
    site = Site("mlp_out", 0, "source")
    twice = [contrasts[0], contrasts[0]]
    empty = dataclasses.replace(contrasts[0], target="")
    long = dataclasses.replace(contrasts[0], target=" on" * 300)
    for given, error, message in (
        (twice, ConfigError, "the same id"),
        ([empty], DataError, "must both have a token"),
        ([long], DataError, "tokens; the model reads"),
    ):
        with pytest.raises(error, match=message):
            patch(taught["llama"], given, [site])


def test_a_parallel_block_has_no_resid_mid(taught, contrasts):
    with pytest.raises(ConfigError, match=r"no resid_mid\.0@source\.last"):
        patch(taught["gpt_neox"], contrasts[:1], [Site("resid_mid", 0, "source")])
