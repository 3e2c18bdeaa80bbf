"""Predictors that know nothing of symmetry, fitted to the same pairs as the judges."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from interp_rc.measures.symmetry.plan import Shortcut
from interp_rc.models.encoder import Encoder, Text
from interp_rc.records.nouns import Label, Pair

Vectors = Float[np.ndarray, "pair feature"]
Predict = Callable[[Sequence[Pair]], list[Label]]


class Frozen:
    """An encoder that is not trained, and what it has read."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self._read: dict[Text, Float[np.ndarray, " width"]] = {}

    def vectors(self, texts: Sequence[Text]) -> Float[np.ndarray, "text width"]:
        new = list(dict.fromkeys(text for text in texts if text not in self._read))
        if new:
            self._read |= zip(new, self.encoder.embedded(new).numpy(), strict=True)
        return np.stack([self._read[text] for text in texts])


def fit_shortcut(name: Shortcut, train: Sequence[Pair], frozen: Frozen) -> Predict:
    """`lookup`: the commonest training label of the relation's words (`look_up`). The others are
    logistic regressions on a frozen vector: of the words of the relation alone, in premise and
    hypothesis (`relation_only`), of the hypothesis (`hypothesis_only`), and of both texts read
    together (`frozen_pair`)."""
    if name == "lookup":
        return look_up(train)
    return _regression(train, lambda pairs: FEATURES[name](frozen, pairs))


FEATURES: dict[Shortcut, Callable[[Frozen, Sequence[Pair]], Vectors]] = {
    "relation_only": lambda frozen, pairs: np.concatenate(
        [
            frozen.vectors([words(pair, text) for pair in pairs])
            for text in ("premise", "hypothesis")
        ],
        axis=1,
    ),
    "hypothesis_only": lambda frozen, pairs: frozen.vectors([pair.hypothesis for pair in pairs]),
    "frozen_pair": lambda frozen, pairs: frozen.vectors([(p.premise, p.hypothesis) for p in pairs]),
}


def words(pair: Pair, text: str) -> str:
    """The words of the relation, without entities; the relation's name where spans are unknown."""
    whole = pair.premise if text == "premise" else pair.hypothesis
    spans = pair.spans.get(f"{text}.relation", [])
    return " ".join(whole[start:end] for start, end in spans) or pair.relation.replace("_", " ")


def look_up(train: Sequence[Pair]) -> Predict:
    """By the words of both texts; where they were never together, by those of the hypothesis,
    then of the premise; where none was trained on, the commonest label of all. What is equally
    common goes by the alphabet."""
    seen: dict[tuple[str | None, ...], Counter[Label]] = defaultdict(Counter)
    for pair in train:
        for key in _keys(pair):
            seen[key][pair.label] += 1
    most = {key: min(found, key=lambda one: (-found[one], one)) for key, found in seen.items()}
    return lambda pairs: [next(most[key] for key in _keys(pair) if key in most) for pair in pairs]


def _keys(pair: Pair) -> list[tuple[str | None, ...]]:
    premise, hypothesis = words(pair, "premise"), words(pair, "hypothesis")
    return [(premise, hypothesis), (None, hypothesis), (premise, None), (None, None)]


def _regression(train: Sequence[Pair], features: Callable[[Sequence[Pair]], Vectors]) -> Predict:
    """Logistic regression with scikit-learn's default penalty on standardised features."""
    labels = [pair.label for pair in train]
    if len(set(labels)) == 1:
        return lambda pairs: [labels[0]] * len(pairs)
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    fitted = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    fitted.fit(features(train), labels)
    return lambda pairs: [str(one) for one in fitted.predict(features(pairs))]  # type: ignore[misc]
