"""Is the class of a relation readable at a place? Probes on some relations, read on others."""

from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from threadpoolctl import threadpool_limits
from torch import Tensor

from interp_rc.measures.symmetry_where.asked import class_of, probed_places, together
from interp_rc.measures.symmetry_where.logistic import scores
from interp_rc.models.encoder import Encoder
from interp_rc.models.encoder_states import place_states, tokens
from interp_rc.records.nouns import Pair
from interp_rc.records.numbers import Test
from interp_rc.records.seeds import derive_seed, generator

States = dict[str, Float[Tensor, "text layer width"]]
"""By place, of as many texts of each relation, one relation after the other."""


def read_states(encoder: Encoder, pairs: dict[str, list[Pair]], batch_size: int) -> States:
    """Of each pair's two texts, read together."""
    asked = [pair for mine in pairs.values() for pair in mine]
    texts = [together(pair) for pair in asked]
    read = tokens(encoder, texts)
    places = [probed_places(*one) for one in zip(asked, read, strict=True)]
    return place_states(encoder, texts, places, batch_size=batch_size)


def probed(states: States, names: Sequence[str], shuffles: int, seed: int) -> pd.DataFrame:
    """For each relation, place and layer: the share of its pairs whose class a probe names that
    was trained without it (`labels` true or, in each `draw`, permuted over relations), or on the
    other half of all relations' pairs (`labels` looked_up)."""
    fits = Fits(names, len(next(iter(states.values()))) // len(names), shuffles, seed)
    tables = []
    # The matrices are small: threads that wait for each other take longer.
    with threadpool_limits(1, user_api="blas"):
        for place, found in states.items():
            for layer in range(found.shape[1]):
                table = fits.table(found[:, layer].double().numpy())
                tables.append(table.assign(place=place, layer=layer))
    return pd.concat(tables, ignore_index=True)


def permutation_test(
    states: Float[Tensor, "text width"], names: Sequence[str], draws: int, seed: int, *, name: str
) -> Test:
    """Is the class of relations left out found more often than permuted classes are? One-sided.

    Relations share the probes that they are read by, which an interval over them leaves out and
    permuting does not. The statistic is the mean over both classes.
    """
    fits = Fits(names, len(states) // len(names), draws, derive_seed(seed, "test"))
    with threadpool_limits(1, user_api="blas"):
        table = fits.table(states.double().numpy())
    by_class = table[table.labels != "looked_up"].groupby(["draw", "symmetric"])["value"].mean()
    found = by_class.groupby("draw").mean().to_numpy(float)
    # Some draws are the true classes again; equal but for rounding counts as equal.
    p = float((found >= found[0] - 1e-9).mean())
    how = f"permutation of classes over relations, greater, {draws} draws"
    return Test(name, how, float(found[0]), p, None, None, None, len(names))


class Fits:
    """All probes of one place and layer: the same whatever the place.

    Two relations are left out at once, one of each class. With one alone, its class would have
    fewer relations to train on than otherwise, and probes that found nothing would be wrong about
    it more often than right.
    """

    def __init__(self, names: Sequence[str], per_relation: int, shuffles: int, seed: int) -> None:
        self.names = list(names)
        self.of = np.repeat(np.arange(len(names)), per_relation)
        true = [class_of(name) == "symmetric" for name in names]
        draw = generator(seed, "permuted")
        self.classes = [true, *(draw.sample(true, len(true)) for _ in range(shuffles))]
        half = np.arange(len(self.of)) % per_relation < per_relation // 2
        trained, labels = [half, ~half], [true, true]
        self.folds: list[tuple[int, int, int]] = []
        for number, classes in enumerate(self.classes):
            symmetric, other = np.flatnonzero(classes), np.flatnonzero(~np.array(classes))
            for pair in product(symmetric.tolist(), other.tolist()):
                self.folds.append((number, *pair))
                trained.append(~np.isin(self.of, pair))
                labels.append(classes)
        self.trained: Bool[np.ndarray, "fit row"] = np.stack(trained)
        self.labels: Bool[np.ndarray, "fit row"] = np.array(labels)[:, self.of]

    def table(self, rows: Float[np.ndarray, "row width"]) -> pd.DataFrame:
        right = (scores(rows, self.labels, self.trained) > 0) == self.labels
        read = np.where(self.trained, np.nan, right)  # what was trained on is not read
        by_relation = read.reshape(len(read), len(self.names), -1)
        looked = np.nanmean(by_relation[:2], (0, 2))
        tables = [self._rows(self.classes[0], looked, "looked_up", 0)]
        found: list[list[list[float]]] = [[[] for _ in self.names] for _ in self.classes]
        for values, (number, *pair) in zip(by_relation[2:], self.folds, strict=True):
            for relation in pair:
                found[number][relation].append(float(values[relation].mean()))
        for number, (classes, mine) in enumerate(zip(self.classes, found, strict=True)):
            means = np.array([np.mean(values) for values in mine])
            tables.append(self._rows(classes, means, "permuted" if number else "true", number))
        return pd.concat(tables, ignore_index=True)

    def _rows(
        self,
        symmetric: Sequence[bool],
        values: Float[np.ndarray, " relation"],
        labels: str,
        draw: int,
    ) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "relation": self.names,
                "symmetric": symmetric,
                "value": values,
                "labels": labels,
                "draw": draw,
            }
        )
