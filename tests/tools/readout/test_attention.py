"""Attention is what the model's own eager pass gives; norms are by matrices taken from it."""

import numpy as np
import pytest
import torch

from interp_rc.tools.readout.attention import KEYS, attention
from tests.engine.tiny import masked, precise
from tests.tools.patching.test_knockout import read


def by_hand(model, shape, ids):
    """Patterns, and by layer and head the length of each token's values through the output
    projection."""
    body, kept = model.model, {}
    own = body.config._attn_implementation
    hooks = []
    for n, (norm_out, _) in enumerate(parts(body, shape)):
        hooks.append(norm_out.register_forward_hook(lambda m, a, o, n=n: kept.update({n: o[0]})))
    body.set_attn_implementation("eager")
    with torch.no_grad():
        patterns = body(input_ids=torch.tensor([ids]), output_attentions=True).attentions
    body.set_attn_implementation(own)
    for hook in hooks:
        hook.remove()
    heads = body.config.num_attention_heads
    groups = getattr(body.config, "num_key_value_heads", None) or heads
    lengths = []
    for n, (_, project) in enumerate(parts(body, shape)):
        values, weight = kept[n], project.weight
        if shape == "gpt2":
            values, weight = values[:, 64:], weight.T  # after queries and keys
        if shape == "gpt_neox":  # queries, keys and values of each head side by side
            values = values.view(len(ids), heads, 3, -1)[:, :, 2].flatten(1)
        wide = weight.shape[1] // heads
        here = []
        for h in range(heads):
            g = h * groups // heads
            moved = values[:, g * wide : (g + 1) * wide] @ weight[:, h * wide : (h + 1) * wide].T
            here.append(moved.norm(dim=-1))
        lengths.append(torch.stack(here))
    return [p[0] for p in patterns], lengths


def parts(body, shape):
    """What gives the values, and the output projection."""
    if shape == "gpt2":
        return [(b.attn.c_attn, b.attn.c_proj) for b in body.transformer.h]
    if shape == "gpt_neox":
        return [(b.attention.query_key_value, b.attention.dense) for b in body.gpt_neox.layers]
    if shape == "bert":
        return [(b.attention.self.value, b.attention.output.dense) for b in body.bert.encoder.layer]
    return [(b.self_attn.v_proj, b.self_attn.o_proj) for b in body.model.layers]


@pytest.mark.parametrize("shape", ["llama", "gpt2", "gpt_neox", "qwen2", "gemma2", "bert"])
def test_equal_to_the_models_own_eager_attention(taught, contrasts, shape, unrounded):
    model, some = precise(taught, shape), contrasts[::8]
    some = masked(some) if shape == "bert" else some
    columns = ["weight", "norm", "norm_share", "uniform"]
    table = attention(model, some).set_index(["pair", "query", "layer", "head", "keys"])[columns]
    assert len(table) == len(some) * 2 * 2 * model.model.config.num_attention_heads * 4
    for contrast in some:
        ids, _, reads, offsets = read(model, contrast.clean, contrast.target)
        span = contrast.spans["source"][0]
        source = [i for i, (a, b) in enumerate(offsets) if a < span.end and b > span.start]
        patterns, lengths = by_hand(model, shape, ids)
        said = list(reads)[1:] if shape != "bert" else list(reads)
        groups = {"source": source, "first": [0], "target": said}
        groups["elsewhere"] = [
            i for i in range(len(ids)) if not any(i in others for others in groups.values())
        ]
        for query, queries in (("answer", reads), ("source_last", source[-1:])):
            for layer, (pattern, size) in enumerate(zip(patterns, lengths, strict=True)):
                for head in range(len(pattern)):
                    moved = pattern[head] * size[head]
                    for keys, where in groups.items():
                        seen = [len(ids) if shape == "bert" else q + 1 for q in queries]
                        there = [sum(k < s or shape == "bert" for k in where) for s in seen]
                        expected = [
                            np.mean([pattern[head, q, where].sum().item() for q in queries]),
                            np.mean([moved[q, where].sum().item() for q in queries]),
                            np.mean(
                                [(moved[q, where].sum() / moved[q].sum()).item() for q in queries]
                            ),
                            np.mean([n / s for n, s in zip(there, seen, strict=True)]),
                        ]
                        row = table.loc[(contrast.id, query, layer, head, keys)]
                        np.testing.assert_allclose(row, expected, atol=1e-10)
    weights = table.weight.unstack()
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    assert set(weights) == set(KEYS)
    assert weights.source.std() > 0.02


def test_batches_change_nothing(taught, contrasts):
    model = precise(taught, "qwen2")
    whole, parts = attention(model, contrasts), attention(model, contrasts, memory=1)
    np.testing.assert_allclose(whole.norm, parts.norm, rtol=1e-10)
    assert (whole.pair == parts.pair).all()
