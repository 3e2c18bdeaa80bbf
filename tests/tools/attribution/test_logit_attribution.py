"""Parts of a logit are what a peer, and formulas written out here, find; they add up to it."""

import dataclasses

import numpy as np
import pytest
import torch

from interp_rc.records.errors import DataError, ModelError
from interp_rc.tools.attribution import logit_attribution as tool
from interp_rc.tools.attribution.logit_attribution import ADDED_UP, logit_attribution
from tests.engine.hooked import Loop
from tests.engine.tiny import masked, precise
from tests.tools.peer import bridged, in_double

SHAPES = ("llama", "gpt2", "gpt_neox", "qwen2", "gemma2")


def read(loop, contrast):
    """Ids, what is predicted where, and the first token that tells target from foil."""
    ids, start, _ = loop.ids(contrast.clean, contrast.target)
    other, _, _ = loop.ids(contrast.clean, contrast.foil)
    k = next(n for n in range(start, len(ids)) if ids[n] != other[n])
    return ids, list(range(start, len(ids))), k, other[k]


def uncapped(model, ids):
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]
    cap = getattr(model.config, "final_logit_softcapping", None)
    return logits if cap is None else cap * torch.atanh(logits / cap)


@pytest.mark.parametrize("shape", SHAPES)
def test_parts_add_up_to_the_models_own_logits(taught, contrasts, shape):
    model, some = precise(taught, shape), contrasts[::5]
    table = logit_attribution(model, some)
    assert not table.effect.isna().any()
    sums = table[table.site.isin(ADDED_UP)].groupby(["pair", "against"]).effect.sum()
    loop = Loop(model)
    for contrast in some:
        ids, said, k, foil = read(loop, contrast)
        logits = uncapped(model.model, ids)
        over_foil = logits[k - 1, ids[k]] - logits[k - 1, foil]
        over_mean = sum(logits[n - 1, ids[n]] - logits[n - 1].mean() for n in said)
        for against, expected in (("foil", over_foil), ("vocabulary", over_mean)):
            found = sums[contrast.id, against]
            near = 1e-6 if shape == "gemma2" else 1e-10  # to undo the cap costs digits
            assert found == pytest.approx(expected.item(), rel=near, abs=near)
            rows = table[(table.pair == contrast.id) & (table.against == against)]
            for layer in range(2):  # the heads are the attention
                here = rows[rows.layer == layer].set_index("site").effect
                heads = here.loc[["z", "attn_bias"]].sum()
                assert heads == pytest.approx(here.loc["attn_out"], abs=1e-10)
    assert sums.abs().min() > 1e-3


@pytest.mark.parametrize("shape", ["gpt2", "llama"])
def test_equal_to_transformer_lens(taught, contrasts, shape, tmp_path, unrounded):
    """Its own `logit_attrs` wants the norm's gain folded into the weights, and folding costs it
    digits (3e-8 here): its parts, scale and directions, with the gain, to 1e-9; all of it to 1e-6.
    """
    model, some = in_double(taught[shape]), contrasts[1::9]
    bridge, folded = bridged(model, tmp_path), bridged(model, tmp_path)
    folded.enable_compatibility_mode()
    gain = (model.model.transformer.ln_f if shape == "gpt2" else model.model.model.norm).weight
    keys = ["pair", "against", "site", "layer", "head"]
    table = logit_attribution(model, some).set_index(keys).effect.sort_index()
    loop = Loop(model)
    for contrast in some:
        ids, _, k, foil = read(loop, contrast)
        whole, labels = peer_parts(folded, ids)
        by_peer = [folded_cache.logit_attrs(p, ids[k], foil) for folded_cache, p in whole]
        with torch.no_grad():
            parts, _ = peer_parts(bridge, ids)
            toward = bridge.tokens_to_residual_directions(
                ids[k]
            ) - bridge.tokens_to_residual_directions(foil)
            by_hand = [cache.apply_ln_to_stack(p) * gain @ toward for cache, p in parts]
        mine = table[contrast.id, "foil"]
        outputs = {f"{n}_{s}_out": (f"{s}_out", n) for n in (0, 1) for s in ("attn", "mlp")}
        for (found, of_heads), near in ((by_peer, 1e-6), (by_hand, 1e-9)):
            found, of_heads = found[:, 0, k - 1].tolist(), of_heads[:, 0, k - 1].tolist()
            embedded = 0.0
            for label, value in zip(labels, found, strict=True):
                if label in outputs:
                    own = mine.loc[outputs[label]].iloc[0]
                    assert own == pytest.approx(value, rel=near, abs=near), label
                else:
                    embedded += value
            assert mine["embedding"].iloc[0] == pytest.approx(embedded, rel=near, abs=near)
            if near == 1e-6:
                continue  # folding also moves the values' bias out of the heads
            for n, value in enumerate(of_heads):
                assert mine["z", n // 2, n % 2] == pytest.approx(value, rel=near, abs=near)
        assert np.ptp(of_heads) > 0.01


def peer_parts(bridge, ids):
    """The cache with the outputs of layers, and with those of heads; labels of the former."""
    with torch.no_grad():
        _, cache = bridge.run_with_cache(torch.tensor([ids]))
        parts, labels = cache.decompose_resid(return_labels=True)
        return [(cache, parts), (cache, cache.stack_head_results())], labels


@pytest.mark.parametrize("shape", ["gpt_neox", "qwen2", "gemma2"])
def test_equal_to_formulas_written_out(taught, contrasts, shape, unrounded):
    """MLPs and heads of families that the peer is not asked about, by hooks of our own."""
    model, contrast = precise(taught, shape), contrasts[3]
    table = logit_attribution(model, [contrast]).set_index(["against", "site", "layer", "head"])
    table = table.effect.sort_index()
    ids, _, k, foil = read(Loop(model), contrast)
    body, kept = model.model, {}
    if shape == "gpt_neox":
        norm, layers = body.gpt_neox.final_layer_norm, body.gpt_neox.layers
        outputs = [(one.attention.dense, None, one.mlp) for one in layers]
    else:
        norm, layers = body.model.norm, body.model.layers
        outputs = [(one.self_attn.o_proj, None, one.mlp) for one in layers]
        if shape == "gemma2":
            outputs = [
                (one.self_attn.o_proj, one.post_attention_layernorm, one.post_feedforward_layernorm)
                for one in layers
            ]
    hooks = [norm.register_forward_pre_hook(lambda m, args: kept.update(last=args[0][0, k - 1]))]
    for n, (project, _, mlp) in enumerate(outputs):
        hooks += [
            project.register_forward_pre_hook(
                lambda m, args, n=n: kept.update({("z", n): args[0][0, k - 1]})
            ),
            mlp.register_forward_hook(
                lambda m, args, out, n=n: kept.update({("mlp", n): out[0, k - 1]})
            ),
        ]
    with torch.no_grad():
        body(input_ids=torch.tensor([ids]), use_cache=False)
    for hook in hooks:
        hook.remove()
    head = body.get_output_embeddings().weight
    toward = head[ids[k]] - head[foil]

    def normed(norm, part, whole):
        if shape == "gpt_neox":
            part, whole = part - part.mean(), whole - whole.mean()
            return part / (whole.pow(2).mean() + norm.eps).sqrt() * norm.weight
        eps = norm.eps if shape == "gemma2" else norm.variance_epsilon
        return part / (whole.pow(2).mean() + eps).sqrt() * (norm.weight + (shape == "gemma2"))

    heads = body.config.num_attention_heads
    for n, (project, after, _) in enumerate(outputs):
        expected = normed(norm, kept["mlp", n], kept["last"]) @ toward
        assert table["foil", "mlp_out", n].item() == pytest.approx(expected.item(), abs=1e-10)
        z = kept["z", n]
        width = len(z) // heads
        for h in range(heads):
            own = slice(h * width, (h + 1) * width)
            part = project.weight[:, own] @ z[own]
            if after is not None:
                part = normed(after, part, project(z))
            expected = normed(norm, part, kept["last"]) @ toward
            assert table["foil", "z", n, h] == pytest.approx(expected.item(), abs=1e-10)


def test_without_a_foil_there_is_the_vocabulary_only(taught, contrasts):
    model = taught["llama"]
    some = [dataclasses.replace(contrasts[0], foil=None), contrasts[1]]
    table = logit_attribution(model, some)
    assert set(table[table.pair == some[0].id].against) == {"vocabulary"}
    assert set(table[table.pair == some[1].id].against) == {"vocabulary", "foil"}
    parts = logit_attribution(model, some, memory=1)
    np.testing.assert_allclose(parts.effect, table.effect, atol=1e-4)


def test_what_cannot_be_attributed_is_refused(taught, contrasts, monkeypatch):
    with pytest.raises(ModelError, match="type 'bert' the stream is normed after each sum"):
        logit_attribution(precise(taught, "bert"), masked(contrasts)[:1])
    one = contrasts[0]
    with pytest.raises(DataError, match="no token tells the target"):
        logit_attribution(taught["gpt2"], [dataclasses.replace(one, foil=f"{one.target} and")])
    own = tool.written_by_heads
    monkeypatch.setattr(tool, "written_by_heads", lambda *a: (1.01 * part for part in own(*a)))
    with pytest.raises(ModelError, match="of the logits unexplained"):
        logit_attribution(taught["gpt2"], [one])
