"""A transposed memory recalls where the memory is a transposable one, and only there."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from interp_rc.measures.transposition.measure import NAME, Transposition, recalled
from interp_rc.measures.transposition.reading import Memory, read_memory
from interp_rc.measures.transposition.recall import CROSS, FOLDS, PENALTIES, cosines, recall_scores
from interp_rc.tools.probing.probe_fit import right_and_z
from tests.engine.tiny import precise
from tests.tools.neurons.test_curves import downs

FACTS, WIDTH, NEURONS = 30, 20, 40
GROUPS = ["one"] * FACTS


def memory(k, v, c=None):
    c = np.zeros((len(k), NEURONS)) if c is None else c
    return Memory(k[:, None], c[:, None], v[:, None])


def strengths(read, coming, weights=None, seed=0):
    weights = np.ones((NEURONS, WIDTH)) if weights is None else weights
    found = recall_scores(read, coming, weights, 0, GROUPS, seed)
    return {reading: right_and_z(scores, GROUPS)[1].mean() for reading, scores in found.items()}


def drawn(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def test_an_orthogonal_memory_can_be_asked_either_way():
    turn = np.linalg.qr(drawn(0, WIDTH, WIDTH))[0]
    k, noise = drawn(1, FACTS, WIDTH), 0.05 * drawn(2, FACTS, WIDTH)
    v = k @ turn.T + noise
    z = strengths(memory(k, v), memory(v, k))  # what B brings is what was written for A
    assert all(z[reading] > 3 for reading in ("fitted", "transposed", "value_as_key", "recalled"))


def test_a_one_way_memory_leaves_nothing_for_the_other_entity():
    turn = np.linalg.qr(drawn(0, WIDTH, WIDTH))[0]
    k, b = drawn(1, FACTS, WIDTH), drawn(3, FACTS, WIDTH)
    z = strengths(memory(k, k @ turn.T, drawn(4, FACTS, NEURONS)), memory(b, b))
    assert z["fitted"] > 3
    assert z["transposed"] > 3  # it stays with A
    assert all(abs(z[reading]) < 0.6 for reading in CROSS)


def test_neurons_whose_values_are_what_b_brings_answer_as_they_did_to_a():
    values = drawn(0, NEURONS, WIDTH)
    c = np.maximum(drawn(1, FACTS, NEURONS), 0) ** 3
    v = c @ values
    z = strengths(memory(drawn(2, FACTS, WIDTH), v, c), memory(v, v), values)
    assert z["neurons_recalled"] > 2
    other = strengths(memory(drawn(2, FACTS, WIDTH), v, c), memory(v[::-1], v), values)
    assert abs(other["neurons_recalled"]) < 0.6


@pytest.mark.slow
def test_unrelated_vectors_are_found_no_more_often_than_by_chance():
    z = np.array(
        [
            [
                right_and_z(scores, GROUPS)[1].mean()
                for scores in recall_scores(
                    memory(drawn(s, FACTS, WIDTH), drawn(s + 1, FACTS, WIDTH),
                           drawn(s + 2, FACTS, NEURONS)),
                    memory(drawn(s + 3, FACTS, WIDTH), drawn(s, FACTS, WIDTH)),
                    drawn(s + 4, NEURONS, WIDTH), 0, GROUPS, s,
                ).values()
            ]
            for s in range(0, 300, 5)
        ]
    )  # fmt: skip
    # Each is a mean of 30 facts' z: sixty of them, standard error about 0.18 / sqrt(60).
    assert np.abs(z.mean(0)).max() < 0.1


@pytest.mark.slow
def test_folds_are_those_of_a_plain_ridge():
    k, v, seed = drawn(1, FACTS, WIDTH), drawn(2, FACTS, WIDTH), 7
    found = recall_scores(memory(k, v), memory(v, k), np.ones((NEURONS, WIDTH)), 0, GROUPS, seed)
    everyone = np.arange(FACTS)
    for fold in np.array_split(np.random.default_rng(seed).permutation(everyone), FOLDS):
        rest = np.setdiff1d(everyone, fold)
        ck, cv = k - k[rest].mean(0), v - v[rest].mean(0)
        errors = []
        for penalty in PENALTIES:
            left = [
                Ridge(penalty, fit_intercept=False)
                .fit(ck[rest[rest != i]], cv[rest[rest != i]])
                .predict(ck[[i]])[0]
                - cv[i]
                for i in rest
            ]
            errors.append(np.square(left).mean())
        best = Ridge(PENALTIES[int(np.argmin(errors))], fit_intercept=False)
        guess = best.fit(ck[rest], cv[rest]).predict(ck[fold])
        np.testing.assert_allclose(found["fitted"][fold], cosines(guess, cv), rtol=1e-6, atol=1e-8)


def test_cosines_of_nothing_are_zero():
    found = cosines(np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[1.0, 0.0], [0.0, 0.0]]))
    np.testing.assert_allclose(found, [[0, 0], [0.6, 0]])


NORMS = {"gpt2": "ln_2", "gpt_neox": "post_attention_layernorm"}


@pytest.mark.parametrize("shape", ["gpt2", "gpt_neox", "llama", "qwen2"])
def test_memories_are_what_hooks_see(shape, taught, told):
    loaded = precise(taught, shape)
    queries = [q for q in told.queries if q.order == "forward"][:9]
    facts = sorted({q.fact for q in queries})
    found = read_memory(loaded, queries, facts)
    norm = NORMS.get(shape, "post_attention_layernorm")
    norms = [m for name, m in loaded.model.named_modules() if name.endswith(norm)]
    sums = {fact: [] for fact in facts}
    for query in queries:
        kept, handles = {}, []
        for layer, modules in enumerate(zip(norms, downs(loaded.model), strict=True)):

            def norm_hook(_, __, out, layer=layer, kept=kept):
                kept["k", layer] = out[0]

            def down_hook(_, args, out, layer=layer, kept=kept):
                kept["c", layer], kept["v", layer] = args[0][0], out[0]

            handles += [
                module.register_forward_hook(hook)
                for module, hook in zip(modules, (norm_hook, down_hook), strict=True)
            ]
        encoded = loaded.tokenizer(query.prompt, return_offsets_mapping=True)
        span = query.source
        at = [
            i for i, (a, b) in enumerate(encoded.offset_mapping) if a < span.end and b > span.start
        ]
        with torch.no_grad():
            loaded.model(input_ids=torch.tensor([encoded.input_ids]), use_cache=False)
        for handle in handles:
            handle.remove()
        sums[query.fact].append(
            [torch.stack([kept[what, layer][at[-1]] for layer in (0, 1)]).numpy() for what in "kcv"]
        )
    for row, fact in enumerate(facts):
        for part, array in enumerate((found.keys, found.coefficients, found.values)):
            expected = np.mean([one[part] for one in sums[fact]], axis=0)
            np.testing.assert_allclose(array[row], expected, rtol=1e-8, atol=1e-10)


def test_the_measure_tests_means_over_layers(taught, told):
    table = recalled(taught["llama"], told, 0).assign(model="finetuned")
    assert len(table) == len(told.facts) * 2 * 2 * 5
    tests = Transposition(margin=0.5).tests(table)
    assert len(tests) == 12
    one = next(t for t in tests if t.name == f"{NAME}.forward.trained_forward.recalled.z")
    rows = table[
        (table.order == "forward") & (table.group == "trained_forward")
        & (table.reading == "recalled")
    ]  # fmt: skip
    values = rows.groupby("fact").z.mean().to_numpy()
    t = (values.mean() - 0.5) / (values.std(ddof=1) / np.sqrt(len(values)))
    assert one.statistic == pytest.approx(t)
    assert one.margin == 0.5
