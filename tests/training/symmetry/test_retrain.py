"""Retraining: against plain loops of PyTorch, what is learnt, decided, kept apart and refused."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import normalize

from interp_rc.models.encoder import EncoderSize, new_encoder
from interp_rc.records.errors import ModelError
from interp_rc.records.nouns import Pair
from interp_rc.records.seeds import derive_seed
from interp_rc.training.symmetry.batches import batches
from interp_rc.training.symmetry.distances import DISTANCES
from interp_rc.training.symmetry.judge import majority
from interp_rc.training.symmetry.methods import Nearest, draw_head, draw_labels
from interp_rc.training.symmetry.options import Retraining
from interp_rc.training.symmetry.retrain import retrain

SMALL = EncoderSize(layers=1, width=16, heads=2, vocabulary=512)
NAMES = "Ann Bo Cy Di Ed Flo Gil Hal".split()
SAYS = {"entailment": "is beside", "contradiction": "is above", "neutral": "spoke of"}
METHODS = ("label_embeddings", "nearest", "joint_nearest", "head")


def pair(at, label):
    first, second = NAMES[at % 8], NAMES[(at * 5 + 3) % 8]
    says = SAYS[label]
    return Pair(
        id=f"{label}-{at}",
        premise=f"{first} {says} {second}",
        hypothesis=f"{second} {says} {first}",
        relation=says,
        label=label,
        form="swapped",
        entities="names",
        label_set="two_labels",
        split="train",
        held_out=False,
    )


TOLD = [pair(at, label) for at in range(9) for label in ("entailment", "contradiction")][:17]
ASKED = [pair(at, label) for at in range(20, 27) for label in ("contradiction", "entailment")]
NEW = [pair(at, "neutral") for at in range(6)]


@pytest.fixture(scope="module")
def small():
    texts = [text for pair in TOLD + NEW for text in (pair.premise, pair.hypothesis)]
    return new_encoder([*texts, "and words that nobody tells"], SMALL, seed=1)


def weights_of(encoder):
    return {name: weights.clone() for name, weights in encoder.model.state_dict().items()}


def loss_by_hand(encoder, batch, options, labels, head, drawn):
    """Pair by pair, as the method is described."""
    distance, terms = DISTANCES[options.distance], []
    margin = options.margin or (1 if options.method == "label_embeddings" else 0.5)

    def term(apart, same):
        return apart**2 / 2 if same else torch.relu(margin - apart) ** 2 / 2

    if options.method in ("head", "joint_nearest"):
        joint = normalize(encoder.embed([(pair.premise, pair.hypothesis) for pair in batch]))
        if options.method == "head":
            logits = head(joint * SMALL.width**0.5).log_softmax(1)
            own = [labels.index(pair.label) for pair in batch]
            return -torch.stack([row[at] for row, at in zip(logits, own, strict=True)]).mean()
        for i, one in enumerate(batch):
            for j, other in enumerate(batch):
                if i != j:
                    apart = 1 - torch.cosine_similarity(joint[i], joint[j], dim=0)
                    terms.append(term(apart, one.label == other.label))
        return torch.stack(terms).mean()
    both = encoder.embed([pair.hypothesis for pair in batch] + [pair.premise for pair in batch])
    h, p = normalize(both).chunk(2)
    for i, one in enumerate(batch):
        if options.method == "label_embeddings":
            for label, vector in zip(labels, drawn, strict=True):
                terms.append(term(distance.apart(h[i], vector, p[i]), one.label == label))
            continue
        for j, other in enumerate(batch):
            if i != j:
                apart = distance.apart(h[i], distance.implied(h[j], p[j]), p[i])
                terms.append(term(apart, one.label == other.label))
    return torch.stack(terms).mean()


def plainly(encoder, pairs, options, seed):
    """The whole vocabulary is trained, every batch is tokenised anew, by PyTorch's plain Adam."""
    seed = derive_seed(seed, "retrain")
    labels = sorted({pair.label for pair in pairs})
    learner = encoder.copy()
    head = draw_head(len(labels), SMALL.width, seed).layer
    drawn = draw_labels(labels, DISTANCES[options.distance], SMALL.width, seed)
    adam = torch.optim.Adam(
        [*learner.model.parameters(), *head.parameters()],
        lr=options.learning_rate,
        foreach=False,
        fused=False,
    )
    for epoch in range(options.epochs):
        mixed = options.method.endswith("nearest")
        own = [labels.index(pair.label) for pair in pairs]
        for places in batches(own, options.pairs_at_once, mixed=mixed, seed=seed, epoch=epoch):
            batch = [pairs[at] for at in places]
            loss = loss_by_hand(learner, batch, options, labels, head, drawn)
            adam.zero_grad()
            loss.backward()
            adam.step()
    return learner, head


@pytest.mark.parametrize(
    "options",
    [
        *(Retraining(method=method, learning_rate=1e-3, epochs=2) for method in METHODS),
        Retraining(method="label_embeddings", distance="rotate", learning_rate=1e-3, batch_size=8),
        Retraining(method="nearest", distance="l2", learning_rate=1e-3, epochs=1, margin=3),
        Retraining(method="nearest", distance="rotate", learning_rate=1e-3, epochs=1),
    ],
    ids=lambda options: f"{options.method}-{options.distance}",
)
def test_a_plain_loop_gives_the_same_weights(small, options):
    judge = retrain(small, TOLD, options, seed=100)
    learner, head = plainly(small, TOLD, options, seed=100)
    start = weights_of(small)
    for name, weights in weights_of(learner).items():
        found = judge.encoder.model.state_dict()[name]
        torch.testing.assert_close(found, weights, atol=2e-5, rtol=0, msg=name)
    embedding = next(name for name in start if "word_embeddings" in name)
    moved = (judge.encoder.model.state_dict()[embedding] != start[embedding]).any(1)
    assert 0 < moved.sum() < len(moved)
    if options.method == "head":
        torch.testing.assert_close(judge.rule.layer.weight, head.weight, atol=2e-5, rtol=0)


def answers_by_hand(judge, told, pairs, options):
    """One pair and one neighbour or label at a time."""
    if options.method == "head":
        joint = judge.encoder.embedded([(pair.premise, pair.hypothesis) for pair in pairs])
        return [judge.labels[int(judge.rule.layer(vector).argmax())] for vector in joint * 4]
    answers = []
    for asked in pairs:
        if options.method == "label_embeddings":
            h, p = judge.encoder.embedded([asked.hypothesis, asked.premise])
            apart = [DISTANCES[options.distance].apart(h, row, p) for row in judge.rule.labels]
            answers.append(judge.labels[apart.index(min(apart))])
            continue
        near = []
        for kept in told:
            if options.method == "joint_nearest":
                e = judge.encoder.embedded([(p.premise, p.hypothesis) for p in (asked, kept)])
                apart = 1 - torch.cosine_similarity(e[0], e[1], dim=0)
            else:
                h, p = judge.encoder.embedded([asked.hypothesis, asked.premise])
                label = DISTANCES[options.distance].implied(
                    *judge.encoder.embedded([kept.hypothesis, kept.premise])
                )
                apart = DISTANCES[options.distance].apart(h, label, p)
            near.append((round(float(apart), 5), len(near), kept.label))
        voters = [label for _, _, label in sorted(near)[: options.neighbours]]
        most = max(Counter(voters).values())
        answers.append(next(label for label in voters if voters.count(label) == most))
    return answers


@pytest.mark.parametrize("method", METHODS)
def test_predictions_are_those_of_plain_loops(small, method):
    options = Retraining(method=method, epochs=0, neighbours=4)
    judge = retrain(small, TOLD, options, seed=100)
    assert judge.predict(ASKED) == answers_by_hand(judge, TOLD, ASKED, options)
    assert judge.predict([]) == []


def test_tables_made_in_parts_decide_alike(small, monkeypatch):
    judge = retrain(small, TOLD, Retraining(method="nearest", epochs=0), seed=100)
    whole = judge.predict(ASKED)
    sizes, apart = [], Nearest.apart

    def watched(rule, vectors, kept):
        sizes.append(len(vectors))
        return apart(rule, vectors, kept)

    monkeypatch.setattr("interp_rc.training.symmetry.judge.AT_ONCE", 3 * judge.kept.numel())
    monkeypatch.setattr(Nearest, "apart", watched)
    assert judge.predict(ASKED) == whole
    assert sizes == [3, 3, 3, 3, 2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "distance"),
    [
        *((method, "cosine") for method in METHODS),
        *((method, distance) for method in METHODS[:2] for distance in ("l2", "rotate")),
    ],
)
def test_a_planted_difference_is_learnt(small, method, distance):
    """Lengths and phases take a tiny encoder longer to bring about than angles."""
    epochs = 20 if distance == "cosine" else 120
    options = Retraining(method=method, distance=distance, learning_rate=3e-3, epochs=epochs)
    losses = []
    judge = retrain(small, TOLD, options, 100, lambda step, steps, loss: losses.append(loss))
    assert losses[-1] < losses[0] / 2
    assert judge.predict(ASKED) == [pair.label for pair in ASKED]


@pytest.mark.parametrize("method", METHODS)
def test_the_arguments_alone_decide(small, method):
    before, state = weights_of(small), torch.get_rng_state()
    options = Retraining(method=method, learning_rate=1e-3, epochs=1)
    first = weights_of(retrain(small, TOLD, options, seed=100).encoder)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], now) for name, now in weights_of(small).items())
    assert not small.model.training
    torch.rand(3)
    again = weights_of(retrain(small, TOLD, options, seed=100).encoder)
    other = weights_of(retrain(small, TOLD, options, seed=101).encoder)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_no_epochs_leave_the_encoder(small):
    judge = retrain(small, TOLD, Retraining(method="nearest", epochs=0), seed=100)
    before = weights_of(small)
    assert all(torch.equal(before[name], now) for name, now in weights_of(judge.encoder).items())


def test_bfloat16_trains_nearly_the_same(small):
    options = Retraining(method="nearest", learning_rate=1e-3, epochs=2)
    whole = retrain(small, TOLD, options, seed=100).encoder
    half = retrain(replace(small, bf16=True), TOLD, options, seed=100).encoder
    texts = [pair.premise for pair in ASKED]
    assert not torch.equal(half.embedded(texts), whole.embedded(texts))
    torch.testing.assert_close(half.embedded(texts), whole.embedded(texts), atol=0.05, rtol=0)


@pytest.mark.parametrize("method", ["nearest", "joint_nearest"])
def test_a_new_label_is_remembered_without_training(small, method):
    judge = retrain(
        small, TOLD, Retraining(method=method, learning_rate=3e-3, epochs=20, neighbours=3), 100
    )
    taught = judge.remember(NEW)
    assert taught.labels == ("contradiction", "entailment", "neutral")
    assert judge.labels == ("contradiction", "entailment")
    assert taught.encoder is judge.encoder
    assert taught.predict(NEW) == ["neutral"] * len(NEW)
    assert "neutral" not in judge.predict(NEW)


@pytest.mark.parametrize("method", ["label_embeddings", "head"])
def test_methods_without_neighbours_remember_nothing(small, method):
    judge = retrain(small, TOLD, Retraining(method=method, epochs=0), seed=100)
    with pytest.raises(ModelError, match="retrained"):
        judge.remember(NEW)


@pytest.mark.parametrize("pairs", [[], NEW])
def test_one_label_teaches_nothing(small, pairs):
    with pytest.raises(ModelError, match="two labels or more"):
        retrain(small, pairs, Retraining(method="head"), seed=100)


def test_a_distance_without_use_is_refused():
    with pytest.raises(ValueError, match="leave distance out"):
        Retraining(method="head", distance="l2")


def test_a_margin_without_use_is_refused():
    with pytest.raises(ValueError, match="leave margin out"):
        Retraining(method="head", margin=0.5)


def test_votes():
    assert majority(["a", "b", "b"]) == "b"
    assert majority(["b", "a", "a", "b"]) == "b"
    assert majority(["c", "a", "b"]) == "c"


def test_batches_hold_each_pair_once_and_mixed_ones_hold_all_labels():
    own = [0] * 20 + [1] * 20 + [2] * 9
    for mixed in (False, True):
        found = list(batches(own, 8, mixed=mixed, seed=100, epoch=0))
        assert sorted(place for batch in found for place in batch) == list(range(len(own)))
        assert found != list(batches(own, 8, mixed=mixed, seed=100, epoch=1))
    assert all({own[place] for place in batch} == {0, 1, 2} for batch in found)
    assert [len(batch) for batch in found] == [8, 8, 8, 8, 8, 9]


@pytest.mark.parametrize("method", METHODS)
def test_an_encoder_left_in_training_mode_is_retrained_without_dropout_all_the_same(small, method):
    options = Retraining(method=method, learning_rate=1e-3, epochs=1)
    left = small.copy()
    left.model.train()
    judges = [retrain(encoder, TOLD, options, seed=100) for encoder in (small, left)]
    first, second = (weights_of(judge.encoder) for judge in judges)
    assert all(torch.equal(weights, second[name]) for name, weights in first.items())
    assert left.model.training


@pytest.mark.parametrize("method", METHODS)
def test_a_loss_that_is_no_number_is_said_at_its_step(small, method):
    """Its vectors would be no numbers, and the first label or neighbour nearest to everything."""
    options = Retraining(method=method, learning_rate=1e38, epochs=3, batch_size=4)
    with pytest.raises(
        ModelError, match=rf"step [2-9] of 1\d; lower learning_rate of method {method}"
    ):
        retrain(small, TOLD, options, seed=100)


def test_an_encoder_whose_weights_are_no_numbers_is_refused(small):
    broken = small.copy()
    with torch.no_grad():
        next(broken.model.parameters())[3, 2] = float("nan")
    with pytest.raises(ModelError, match=r"encoder to retrain holds .* 1 of .*word_embeddings"):
        retrain(broken, TOLD, Retraining(method="head"), seed=100)
