"""Probes find what was put there, nothing where there is nothing, and never their own training."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import Ridge

from interp_rc.facts.fictitious import fictitious_people
from interp_rc.facts.folder import write_facts
from interp_rc.measures.base import MeasureContext, run_measure
from interp_rc.measures.probe.measure import Probe, estimates, rows_of
from interp_rc.measures.probe.section import section
from interp_rc.models.load import save
from interp_rc.records.errors import DataError
from interp_rc.records.files import write_parquet, write_yaml
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Run
from interp_rc.tools.probing import probe_fit
from interp_rc.tools.probing.labels import shuffled
from interp_rc.tools.probing.probe_fit import Reading, centred, fit, fit_each, predict, right_and_z
from interp_rc.tools.probing.streams import EVERYWHERE, POSITIONS, entity_vectors, read_streams
from tests.conftest import drawn, untaught
from tests.engine.tiny import precise

pytestmark = pytest.mark.slow

FACTS, WIDTH = 90, 64
GROUPS = ["same"] * 30 + ["both"] * 30 + ["reverse"] * 30
POOL = np.arange(60)


def rates(reading, which):
    right, z = right_and_z(reading.probe, GROUPS)
    chosen = [i for i, group in enumerate(GROUPS) if group == which]
    return right[chosen].mean(), z[chosen].mean()


def planted(seed, noise, reverse=False):
    """Streams that hold a rotated entity vector, for pooled facts and perhaps for the others."""
    draw = np.random.default_rng(seed)
    vectors = draw.normal(size=(FACTS, WIDTH))
    rotation, _ = np.linalg.qr(draw.normal(size=(WIDTH, WIDTH)))
    streams = noise * draw.normal(size=(FACTS, WIDTH))
    holding = FACTS if reverse else 60
    streams[:holding] += vectors[:holding, :16] @ rotation[:16]
    vectors[:, 16:] *= 0.1
    return streams, vectors


def test_a_planted_map_is_found_where_the_lens_finds_nothing():
    streams, vectors = planted(0, noise=0.1)
    reading = fit(streams, vectors, GROUPS, POOL, seed=0)
    assert rates(reading, "both")[0] > 0.8
    assert rates(reading, "reverse")[0] < 0.2
    lens, _ = right_and_z(reading.lens, GROUPS)
    assert lens.mean() < 0.2


def test_the_probe_of_the_pool_reads_other_facts_too():
    streams, vectors = planted(1, noise=0.1, reverse=True)
    assert rates(fit(streams, vectors, GROUPS, POOL, seed=0), "reverse")[0] > 0.8


def test_noise_gives_chance_for_facts_in_and_out_of_the_pool():
    """More dimensions than facts: any leak of the read fact would show at once."""
    found = []
    for seed in range(12):
        draw = np.random.default_rng(seed)
        streams, vectors = draw.normal(size=(2, FACTS, 128))
        reading = fit(streams, vectors, GROUPS, POOL, seed=seed)
        found.append([rates(reading, g) for g in ("same", "both", "reverse")])
    accuracy, z = np.moveaxis(np.array(found), -1, 0)
    assert accuracy[:, 2].mean() == pytest.approx(1 / 30, abs=0.025)
    assert z[:, 2].mean() == pytest.approx(0, abs=0.15)
    assert accuracy[:, :2].mean() < 1 / 30  # they compete with trained entities
    assert np.abs(z.mean(0)).max() < 0.3


def test_centring_by_the_whole_group_would_leak(monkeypatch):
    """Why means are of training facts: this is the fault that the shuffled labels showed."""

    def leaky(values, groups, training):
        return centred(values, groups, np.arange(len(values)))

    draw = np.random.default_rng(0)
    streams, vectors = draw.normal(size=(2, FACTS, 128))
    honest = rates(fit(streams, vectors, GROUPS, POOL, seed=0), "both")[1]
    monkeypatch.setattr(probe_fit, "centred", leaky)
    monkeypatch.setattr(probe_fit, "STRENGTHS", (1e-3,))
    assert rates(fit(streams, vectors, GROUPS, POOL, seed=0), "both")[1] > honest + 0.5


def test_no_fact_is_read_by_a_probe_trained_on_it(monkeypatch):
    seen = []

    def spy(here, labelled, training, read, strengths):
        seen.append((set(training.tolist()), set(read.tolist())))
        return predict(here, labelled, training, read, strengths)

    monkeypatch.setattr(probe_fit, "predict", spy)
    streams, vectors = planted(2, noise=1.0)
    fit(streams, vectors, GROUPS, POOL, seed=3)
    assert all(not training & read for training, read in seen)
    assert all(training <= set(range(60)) for training, _ in seen)
    assert set().union(*(read for _, read in seen)) == set(range(FACTS))


def test_ridge_against_its_closed_form():
    draw = np.random.default_rng(4)
    here, there = draw.normal(size=(2, 40, 12))
    training, read = np.arange(30), np.arange(30, 40)
    known, wanted = here[:30], there[:30]
    scale = (known * wanted).sum() / (known**2).sum()
    [found] = predict(here, [there], training, read, (7.0, 300.0))
    for guess, strength in zip(found, (7.0, 300.0), strict=True):
        inner = known.T @ known + strength * np.eye(12)
        weights = np.linalg.solve(inner, known.T @ (wanted - scale * known))
        np.testing.assert_allclose(guess, scale * here[30:] + here[30:] @ weights, atol=1e-10)


def test_ridge_against_scikit_learn_for_each_labelling():
    """More dimensions than facts, and a direction that no stream has."""
    draw = np.random.default_rng(6)
    here, there = draw.normal(size=(2, 40, 48))
    here[:, 0] = 0.0
    labelled = [there, there[draw.permutation(40)]]
    training, read = np.arange(30), np.arange(30, 40)
    for entities, found in zip(
        labelled, predict(here, labelled, training, read, (10.0, 1e3)), strict=True
    ):
        known, wanted = here[:30], entities[:30]
        scale = (known * wanted).sum() / (known**2).sum()
        for guess, strength in zip(found, (10.0, 1e3), strict=True):
            peer = Ridge(strength, fit_intercept=False).fit(known, wanted - scale * known)
            np.testing.assert_allclose(
                guess, scale * here[30:] + peer.predict(here[30:]), atol=1e-10
            )


def test_several_labellings_at_once_are_each_alone():
    streams, vectors = planted(7, noise=0.3)
    labelled = [vectors, vectors[shuffled(GROUPS, 1)]]
    for found, alone in zip(fit_each(streams, labelled, GROUPS, POOL, 5), labelled, strict=True):
        expected = fit(streams, alone, GROUPS, POOL, 5)
        np.testing.assert_array_equal(found.probe, expected.probe)
        np.testing.assert_array_equal(found.lens, expected.lens)


def test_the_strongest_penalty_is_the_lens():
    draw = np.random.default_rng(5)
    here = draw.normal(size=(40, 12))
    there = here + 0.1 * draw.normal(size=(40, 12))
    [[guess]] = predict(here, [there], np.arange(30), np.arange(30, 40), [1e12])
    ratio = guess / here[30:]
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-6)


def test_right_and_z_by_hand():
    scores = np.array([[3.0, 1, 2, 9, 9], [0, 1, 5, 9, 9], [1, 0, 4, 9, 9], [9, 9, 9, 1, 1.0]])
    scores = np.vstack([scores, [9, 9, 9, 0, 2]])
    right, z = right_and_z(scores, ["a", "a", "a", "b", "b"])
    assert right.tolist() == [1, 0, 1, 0, 1]  # a tie is not first
    assert z[0] == pytest.approx((3 - 1.5) / np.std([1, 2], ddof=1))
    assert z[1] == pytest.approx((1 - 2.5) / np.std([0, 5], ddof=1))


def test_among_two_facts_there_is_no_z():
    scores = np.array([[3.0, 1, 9, 9, 9], [0, 1, 9, 9, 9], *np.ones((3, 5))])
    right, z = right_and_z(scores, ["a", "a", "b", "b", "b"])
    assert right.tolist() == [1, 1, 0, 0, 0]
    assert np.isnan(z[:2]).all()
    assert z[2:].tolist() == [0, 0, 0]  # all alike: not above the others
    scores[2, 2] = 2.0  # others without a spread, which it is unlike
    assert np.isnan(right_and_z(scores, ["a", "a", "b", "b", "b"])[1][2])


def test_a_measure_of_two_facts_has_null_for_z():
    told = ["trained_forward", "trained_backward", "both"]
    names = [group for group in told for _ in range(2)]
    draw = np.random.default_rng(0)
    readings = [Reading(*draw.normal(size=(2, 6, 6))) for _ in range(2)]
    ids = [f"{name}.{n}" for n, name in enumerate(names)]
    table = rows_of(readings, ids, names, np.arange(6), "prompt_last")
    table = table.assign(order="forward", model="finetuned", labels="true")
    found = estimates(table, 0)
    key = "probe.finetuned.forward.both.prompt_last"
    assert found[f"{key}.z"] == Estimate(None, None, None, 0, "standard deviation")
    assert found[f"{key}.z_gain"].value is None
    assert found[f"{key}.accuracy"].n == 2
    both = [table, table.assign(order="backward")]
    rows = pd.concat([t.assign(position=p) for t in both for p in POSITIONS])
    below = [one for one in Probe(margin=1.0).tests(rows, 0) if one.name.endswith(".z")]
    assert [(one.statistic, one.p) for one in below] == [(None, None)] * len(below)


def test_right_and_z_of_many_against_a_plain_loop():
    scores = np.random.default_rng(8).normal(size=(2, 3, 9, 9))
    groups = ["a", "b", "c"] * 3
    right, z = right_and_z(scores, groups)
    for at in np.ndindex(2, 3):
        for fact in range(9):
            mine = [i for i in range(9) if groups[i] == groups[fact] and i != fact]
            others, own = scores[at][fact, mine], scores[at][fact, fact]
            assert right[at][fact] == (own > max(others))
            spread = np.std(others, ddof=1)
            assert z[at][fact] == pytest.approx((own - np.mean(others)) / spread)


def test_shuffled_labels_stay_in_their_group():
    labels = shuffled(GROUPS, 1)
    assert sorted(labels) == list(range(FACTS))
    assert [GROUPS[i] for i in labels] == GROUPS
    assert (labels != np.arange(FACTS)).mean() > 0.9


def test_streams_against_a_plain_loop(tiny, told):
    """Transformers' own hidden states, one prompt at a time, through the model's last norm."""
    model, tokenizer = tiny
    asked = [q for q in told.queries if q.order == "backward"]
    ids = [fact.id for fact in told.facts]
    streams = read_streams(tiny, asked, ids, EVERYWHERE)
    two = read_streams(tiny, asked, ids)
    np.testing.assert_array_equal(two, streams[:, [1, 3]])
    norm = {"gpt2": "transformer.ln_f", "gpt_neox": "gpt_neox.final_layer_norm"}
    last_norm = model.get_submodule(norm.get(model.config.model_type, "model.norm"))
    for fact in ids[::4]:
        sums = []
        for query in (q for q in asked if q.fact == fact):
            encoded = tokenizer(query.prompt + query.target, return_offsets_mapping=True)
            offsets = encoded.offset_mapping
            end = max(i for i, (_, stop) in enumerate(offsets) if stop <= len(query.prompt))
            source = [
                i for i, (start, stop) in enumerate(offsets)
                if start < query.source.end and stop > query.source.start
            ]  # fmt: skip
            with torch.no_grad():
                states = model(
                    input_ids=torch.tensor([encoded.input_ids]), output_hidden_states=True
                ).hidden_states
                # The last of them is past the norm already.
                normed = [last_norm(s[0]) for s in states[:-1]] + [states[-1][0]]
                read = [[s[p].mean(0) for s in normed]
                        for p in (source[:1], source[-1:], source, [end])]  # fmt: skip
            sums.append(torch.stack([torch.stack(r) for r in read]))
        np.testing.assert_allclose(
            streams[ids.index(fact)], torch.stack(sums).mean(0).numpy(), atol=2e-5
        )


def test_streams_of_a_masked_model_are_read_at_its_mask(taught, told):
    loaded = precise(taught, "bert")
    query = next(q for q in told.queries if q.order == "forward")
    query = dataclasses.replace(query, prompt=f"{query.prompt} [MASK] .", target=" the")
    streams = read_streams(loaded, [query], [query.fact], EVERYWHERE)[0]
    encoded = loaded.tokenizer(query.prompt, return_offsets_mapping=True)
    source = [
        i for i, (start, stop) in enumerate(encoded.offset_mapping)
        if start < query.source.end and stop > query.source.start
    ]  # fmt: skip
    mask = encoded.input_ids.index(loaded.tokenizer.mask_token_id)
    with torch.no_grad():
        states = loaded.model(
            input_ids=torch.tensor([encoded.input_ids]), output_hidden_states=True
        ).hidden_states
    for place, tokens in enumerate((source[:1], source[-1:], source, [mask])):
        expected = torch.stack([state[0, tokens].mean(0) for state in states])
        np.testing.assert_allclose(streams[place], expected.numpy(), atol=1e-10)


def test_the_lens_at_the_last_layer_is_the_models_own_logits(tiny, told):
    """For entities of one token, the product of stream and vector is the token's logit."""
    model, tokenizer = tiny
    asked = [q for q in told.queries if q.order == "forward"][:1]
    stream = read_streams(tiny, asked, [asked[0].fact])[0, 1, -1]
    token = " the"
    [row] = tokenizer([token], add_special_tokens=False).input_ids
    vectors = entity_vectors(tiny, [token.strip()])
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([tokenizer(asked[0].prompt).input_ids])).logits[0, -1]
    assert (stream @ vectors[0]) == pytest.approx(logits[row].mean().item(), abs=1e-4)


@pytest.fixture(scope="module")
def measured(tokenizer, tmp_path_factory):
    facts = fictitious_people(0, per_group=3, training_templates=2, held_out_templates=2)
    run = Run(tmp_path_factory.mktemp("probe"))
    write_yaml(run.config_file, {"seed": 3, "name": "probe", "measures": [{"kind": "probe"}]})
    write_facts(facts, run.facts)
    model = untaught(tokenizer, "llama")
    save(model, run.base)
    return run, run_measure(Probe(shuffles=2), MeasureContext(run, model))


def test_a_run(measured):
    run, found = measured
    table = run.table("mechanism/probe")
    per_fact = table.groupby(["model", "labels", "order", "position", "fact"])
    assert (per_fact.chosen.sum() >= 1).all()
    assert set(table.model) == {"finetuned", "base", "untrained"}
    true = table[(table.model == "finetuned") & (table.labels == "true")]
    base = table[table.model == "base"]
    np.testing.assert_allclose(true.z.to_numpy(), base.z.to_numpy())  # the same weights here
    name = "probe.finetuned.backward.both.prompt_last"
    rows = true.query("order == 'backward' and position == 'prompt_last' and chosen")
    expected = rows[rows.group == "both"]
    assert found.estimates[f"{name}.accuracy"].value == pytest.approx(expected.right.mean())
    gain = found.estimates[f"{name}.z_gain"].value
    assert gain == pytest.approx((expected.z - expected.lens_z).mean())
    for column, label in (("right", "accuracy"), ("lens_right", "lens")):
        place = true.query("order == 'backward' and position == 'prompt_last' and layer == 1")
        rates = [row for row in place.to_dict("records") if row["group"] == "both"]
        layer = found.estimates[f"{name}.layer_1.{label}"]
        assert layer.value == pytest.approx(sum(row[column] for row in rates) / 3)
        assert layer.n == len(rates) == 3
    assert {t.n for t in found.tests} == {3}
    assert sum(t.name.endswith(".accuracy") for t in found.tests) == 4


def test_the_section(measured):
    run, found = measured
    part = drawn(section(run, found))
    assert "told in both orders in" in part.sentence
    assert len(part.tables[0].rows) == 12
    assert (run.figures / "probe.dark.svg").is_file()


def test_everywhere_adds_places_and_changes_none(measured, tokenizer):
    run, found = measured
    before = run.table("mechanism/probe")
    more = run_measure(
        Probe(shuffles=2, everywhere=True), MeasureContext(run, untaught(tokenizer, "llama"))
    )
    for name, estimate in found.estimates.items():
        assert more.estimates[name] == estimate
    assert set(run.table("mechanism/probe").position) == set(EVERYWHERE)
    assert len(section(run, more).tables[0].rows) == 24
    write_parquet(run.folder / "mechanism/probe.parquet", before)


def test_facts_it_cannot_be_made_on_are_refused(told):
    Probe().check(told)
    with pytest.raises(DataError, match="2 facts or more of group both"):
        Probe().check(dataclasses.replace(told, facts=[f for f in told.facts if f.group != "both"]))
    with pytest.raises(DataError, match="every fact asked in backward order"):
        Probe().check(
            dataclasses.replace(told, queries=[q for q in told.queries if q.order == "forward"])
        )
