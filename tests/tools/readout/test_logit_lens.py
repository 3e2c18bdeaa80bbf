"""The lens is what final norm and head make of the stream, by other code."""

import copy
import dataclasses

import numpy as np
import pytest
import torch

from interp_rc.engine.sites import Site
from interp_rc.records.errors import DataError
from interp_rc.tools.readout.logit_lens import logit_lens
from tests.engine.hooked import Loop
from tests.engine.tiny import masked, precise
from tests.tools.peer import bridged, in_double

SHAPES = ("llama", "gpt2", "gpt_neox", "qwen2")
HEADS = {
    "gpt2": lambda m, x: m.lm_head(m.transformer.ln_f(x)),
    "gpt_neox": lambda m, x: (
        m.embed_out(m.gpt_neox.final_layer_norm(x))
        if hasattr(m, "embed_out")
        else m.lm_head(m.gpt_neox.final_layer_norm(x))
    ),
    "llama": lambda m, x: m.lm_head(m.model.norm(x)),
    "qwen2": lambda m, x: m.lm_head(m.model.norm(x)),
}


def streams(loop, shape, prompt, target):
    """Every stage by hooks, one prompt at a time."""
    stages = [("resid_pre", 0)]
    for layer in range(2):
        stages += [] if shape == "gpt_neox" else [("resid_mid", layer)]
        stages.append(("resid_post", layer))
    return {s: loop.activation(Site(*s, "prompt"), prompt, target) for s in stages}


def read_off(log_probs, positions, ids):
    chosen = [log_probs[p, i] for p, i in zip(positions, ids, strict=True)]
    ranks = [1 + (log_probs[p] > c).sum().item() for p, c in zip(positions, chosen, strict=True)]
    return sum(chosen).item(), max(ranks)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_stage_is_what_a_plain_loop_reads(taught, contrasts, shape):
    model, some = precise(taught, shape), contrasts[::7]
    table = logit_lens(model, some).set_index(["pair", "place", "site", "layer"])
    loop = Loop(model)
    for contrast in some:
        for target, column in ((contrast.target, "log_prob"), (contrast.foil, "foil_log_prob")):
            ids, start, _ = loop.ids(contrast.clean, target)
            reads = range(start - 1, len(ids) - 1)
            [source] = loop.positions(contrast.clean, target, contrast.spans["source"][0], "last")
            for stage, stream in streams(loop, shape, contrast.clean, target).items():
                with torch.no_grad():
                    logits = HEADS[shape](model.model, stream[None])[0]
                log_probs = torch.log_softmax(logits, -1)
                for where, positions in (("answer", reads), ("source_last", [source] * len(reads))):
                    row = table.loc[(contrast.id, where, *stage)]
                    expected, rank = read_off(log_probs, positions, ids[start:])
                    assert row[column] == pytest.approx(expected, abs=1e-10)
                    if column == "log_prob":
                        assert (row["rank"], row.tokens) == (rank, len(reads))
        last = table.loc[(contrast.id, "answer", "resid_post", 1)]
        said = loop.log_prob(contrast.clean, contrast.target)
        assert last.log_prob == pytest.approx(said, abs=1e-10)
    assert table.log_prob.std() > 1


def test_a_masked_model_is_read_through_its_whole_head(taught, contrasts):
    model = precise(taught, "bert")
    some = masked(contrasts)[::9]
    table = logit_lens(model, some).set_index(["pair", "place", "site", "layer"])
    bert, tokenizer = model
    for contrast in some:
        wanted = tokenizer(contrast.target, add_special_tokens=False).input_ids
        text = contrast.clean.replace("[MASK]", "[MASK]" * len(wanted))
        ids = tokenizer(text).input_ids
        masks = [n for n, one in enumerate(ids) if one == tokenizer.mask_token_id]
        with torch.no_grad():
            hidden = bert(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states
            for layer, stream in enumerate(hidden):
                log_probs = torch.log_softmax(bert.cls(stream)[0], -1)
                stage = ("resid_post", layer - 1) if layer else ("resid_pre", 0)
                row = table.loc[(contrast.id, "answer", *stage)]
                expected, rank = read_off(log_probs, masks, wanted)
                assert row.log_prob == pytest.approx(expected, abs=1e-10)
                assert row["rank"] == rank


@pytest.mark.parametrize("shape", ["gpt2", "llama"])
def test_equal_to_transformer_lens(taught, contrasts, shape, tmp_path, unrounded):
    model, some = in_double(taught[shape]), contrasts[2::11]
    bridge = bridged(model, tmp_path)
    table = logit_lens(model, some)
    table = table[table.place == "answer"].set_index(["pair", "site", "layer"])
    loop = Loop(model)
    stages = [(s, layer) for layer in range(2) for s in ("resid_pre", "resid_mid")]
    for contrast in some:
        ids, start, _ = loop.ids(contrast.clean, contrast.target)
        with torch.no_grad():
            _, cache = bridge.run_with_cache(torch.tensor([ids]))
            streams = cache.accumulated_resid(incl_mid=True)
            logits = bridge.unembed(cache.apply_ln_to_stack(streams, recompute_ln=True))
        assert len(streams) == 5
        for one, stage in zip(logits[:, 0], [*stages, ("resid_post", 1)], strict=True):
            site, layer = stage if stage[0] != "resid_pre" or not stage[1] else ("resid_post", 0)
            log_probs = torch.log_softmax(one, -1)
            expected, _ = read_off(log_probs, range(start - 1, len(ids) - 1), ids[start:])
            assert table.loc[(contrast.id, site, layer)].log_prob == pytest.approx(
                expected, abs=1e-9
            )


def test_batches_change_nothing(taught, contrasts):
    model = precise(taught, "llama")
    whole, parts = logit_lens(model, contrasts), logit_lens(model, contrasts, memory=1)
    assert list(whole.pair) == list(parts.pair)
    np.testing.assert_allclose(whole.log_prob, parts.log_prob, rtol=1e-12)
    np.testing.assert_allclose(whole.foil_log_prob, parts.foil_log_prob, rtol=1e-12)


def test_contrasts_without_a_foil_or_a_source(taught, contrasts):
    model = taught["llama"]
    some = [dataclasses.replace(contrasts[0], foil=None), contrasts[1]]
    table = logit_lens(model, some)
    lacks = table.groupby("pair", sort=False).foil_log_prob.apply(lambda x: x.isna().all())
    assert lacks.tolist() == [True, False]
    alone = logit_lens(model, some[:1])
    assert alone.foil_log_prob.isna().all()
    assert alone.log_prob.tolist() == pytest.approx(table.log_prob[: len(alone)].tolist(), abs=1e-4)
    with pytest.raises(DataError, match="has no span 'source'"):
        logit_lens(model, [dataclasses.replace(copy.copy(contrasts[0]), spans={})])
