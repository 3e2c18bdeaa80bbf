"""Knocking attention out is what a plain loop with masks of its own finds."""

import dataclasses

import numpy as np
import pytest
import torch

from interp_rc.engine.effects import COLUMNS
from interp_rc.records.errors import ConfigError, DataError
from interp_rc.records.nouns import Span
from interp_rc.tools.patching.knockout import knockout
from tests.engine.tiny import end_of, masked, precise


def attentions(model):
    kind = model.config.model_type
    if kind == "gpt2":
        return [block.attn for block in model.transformer.h]
    if kind == "gpt_neox":
        return [block.attention for block in model.gpt_neox.layers]
    if kind == "bert":
        return [block.attention.self for block in model.bert.encoder.layer]
    return [block.self_attn for block in model.model.layers]


def read(model, prompt, target):
    """Ids, the target's, where they are predicted, and the characters of each token."""
    if model.model.config.model_type != "bert":
        encoded = model.tokenizer(prompt + target, return_offsets_mapping=True)
        ids, offsets = encoded.input_ids, encoded.offset_mapping
        start = min(i for i, (_, end) in enumerate(offsets) if end > len(prompt))
        return ids, ids[start:], range(start - 1, len(ids) - 1), offsets[:start]
    wanted = model.tokenizer(target, add_special_tokens=False).input_ids
    encoded = model.tokenizer(prompt, return_offsets_mapping=True)
    ids, offsets, times = encoded.input_ids, encoded.offset_mapping, len(wanted)
    at = ids.index(model.tokenizer.mask_token_id)
    ids, offsets = (
        [*one[:at], *[one[at]] * times, *one[at + 1 :]] for one in (list(ids), list(offsets))
    )
    return ids, wanted, range(at, at + times), offsets


def plain(model, prompt, target, blocked):
    """The target's log-probability where, by layer, queries do not see keys."""
    ids, wanted, reads, _ = read(model, prompt, target)
    own = model.model.config._attn_implementation
    model.model.set_attn_implementation("eager")
    handles = []
    for layer, module in enumerate(attentions(model.model)):
        seen = torch.ones(len(ids), len(ids), dtype=torch.bool)
        if model.model.config.model_type != "bert":
            window = getattr(module, "sliding_window", None) or len(ids)
            seen = seen.tril() & ~seen.tril(-window)
        for query in blocked.get(layer, ((), ()))[0]:
            for key in blocked[layer][1]:
                seen[query, key] = False
        mask = torch.zeros(seen.shape, dtype=torch.float64).masked_fill(~seen, -1e300)[None, None]

        def put(module, args, kwargs, mask=mask):
            assert "attention_mask" in kwargs
            return args, kwargs | {"attention_mask": mask}

        handles.append(module.register_forward_pre_hook(put, with_kwargs=True))
    with torch.no_grad():
        log_probs = torch.log_softmax(model.model(input_ids=torch.tensor([ids])).logits[0], -1)
    for handle in handles:
        handle.remove()
    model.model.set_attn_implementation(own)
    return sum(log_probs[at, one].item() for at, one in zip(reads, wanted, strict=True))


def covered(model, prompt, target, span):
    *_, offsets = read(model, prompt, target)
    return [i for i, (start, end) in enumerate(offsets) if start < span.end and end > span.start]


@pytest.mark.parametrize("shape", ["llama", "gpt2", "gpt_neox", "gemma2", "bert"])
@pytest.mark.parametrize("window", [1, 2])
@pytest.mark.parametrize("into", ["clean", "corrupted"])
def test_equal_to_a_plain_loop(taught, contrasts, shape, window, into):
    """From where the target is predicted, and from the whole prompt, ragged in every batch."""
    model = precise(taught, shape)
    some = masked(contrasts[::6]) if shape == "bert" else contrasts[::6]
    for queries in (f"{end_of(shape)}.last", "source.all"):
        keys = "source.first" if queries == "source.all" else "source.all"
        if queries == "source.all":
            some = [c for c in some if c.spans["source"][into == "corrupted"].start > 0]
        effects = knockout(model, some, queries, keys, window=window, into=into)
        expected = []
        for contrast in some:
            prompt = getattr(contrast, into)
            source = contrast.spans["source"][into == "corrupted"]
            keyed = covered(model, prompt, contrast.target, source)
            asked = keyed
            if queries == "source.all":
                keyed = keyed[:1]
            elif shape == "bert":
                asked = list(read(model, prompt, contrast.target)[2])[-1:]
            else:
                asked = [read(model, prompt, contrast.target)[2][0]]
            for layer in (0, 1):
                within = (layer,) if window == 1 else range(max(0, layer - 1), layer + 1)
                blocked = dict.fromkeys(within, (asked, keyed))
                expected.append(plain(model, prompt, contrast.target, blocked))
        found = effects.table.value.to_numpy()
        np.testing.assert_allclose(found, expected, atol=1e-9)
        taking = effects.baselines.set_index("pair")[into].loc[effects.table.pair].to_numpy()
        zero = effects.table.structural_zero.to_numpy()
        assert np.abs(found - taking)[zero].max(initial=0) < 1e-12
        assert np.abs(found - taking)[~zero].max() > 1e-3


@pytest.mark.slow
def test_the_table_and_batches(taught, contrasts):
    model = precise(taught, "llama")
    effects = knockout(model, contrasts, "prompt.last", "source.all", window=2)
    table = effects.table
    assert list(table.columns) == [*COLUMNS, "window", "keys"]
    assert set(table["keys"]) == {"source.all"}
    assert set(table.site) == {"pattern"}
    assert set(table.span) == {"prompt"}
    assert table.position.notna().all()
    assert table.layer.tolist() == [0, 1] * len(contrasts)
    for memory in (1, 200_000):
        parts = knockout(
            model, contrasts, "prompt.last", "source.all", window=2, memory=memory
        ).table
        np.testing.assert_allclose(parts.value, table.value, atol=1e-12)
    assert set(effects.estimates().site) == {"patternx2 without source.all"}
    [one] = knockout(model, contrasts[:1], "prompt.last", "source.all", layers=[1]).table.layer
    assert one == 1


def test_what_a_causal_query_cannot_see_changes_nothing(taught, contrasts):
    """Keys behind their queries; and queries in the last layer that nothing is read from."""
    model = precise(taught, "llama")
    later = [
        dataclasses.replace(c, spans=c.spans | {"begin": [Span(0, 1), Span(0, 1)]})
        for c in contrasts
    ]
    assert knockout(model, later, "begin.first", "prompt.last").table.structural_zero.all()
    table = knockout(model, later, "source.last", "begin.first").table
    assert table[table.layer == 1].structural_zero.any()
    assert not table[table.layer == 0].structural_zero.any()


def test_differences_of_long_targets(taught, contrasts):
    model = precise(taught, "gpt2")
    some = contrasts[::9]
    table = knockout(model, some, "prompt.last", "source.all", metric="logit_difference").table
    own = knockout(model, some, "prompt.last", "source.all").table
    swapped = [dataclasses.replace(c, target=c.foil) for c in some]
    other = knockout(model, swapped, "prompt.last", "source.all").table
    np.testing.assert_allclose(table.value, own.value - other.value)
    assert set(table["keys"]) == {"source.all"}


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"keys": "0", "queries": "0"}, DataError, "position 0 would see nothing at all"),
        ({"keys": "source.*"}, ConfigError, "write SPAN.TOKEN"),
        ({"keys": "source.second"}, ConfigError, "no token 'second'"),
        ({"queries": "verb.last"}, DataError, "no span 'verb'"),
        ({"layers": [2]}, ConfigError, "no layer 2; it has 2"),
        ({"layers": []}, ConfigError, "nothing to patch"),
        ({"window": 0}, ConfigError, "a window has one layer at least"),
        ({"metric": "size"}, ConfigError, "no metric"),
    ],
)
def test_refused(taught, contrasts, options, error, message):
    arguments = {"queries": "prompt.last", "keys": "source.all"} | options
    with pytest.raises(error, match=message):
        knockout(taught["llama"], contrasts[:2], **arguments)


def test_a_narrow_layer_may_see_nothing_else(taught, contrasts):
    """24 tokens are all that its first layer sees."""
    model = precise(taught, "gemma2")
    contrast = contrasts[0]
    _, _, reads, offsets = read(model, contrast.clean, contrast.target)
    begin = offsets[reads[0] - 24][0]
    spans = {"near": [Span(begin, len(contrast.clean))] * 2}
    narrow = dataclasses.replace(contrast, spans=spans, corrupted=contrast.clean)
    with pytest.raises(DataError, match="would see nothing at all"):
        knockout(model, [narrow], "prompt.last", "near.all")
