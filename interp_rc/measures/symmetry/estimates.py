"""Rates of right answers, and how many pairs they take, with the interval that each unit allows."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from interp_rc.measures.symmetry.pools import symmetry_of
from interp_rc.records.estimates import Estimates
from interp_rc.records.numbers import Estimate
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.censored import censored_median
from interp_rc.stats.intervals import RATE, bootstrap_mean, rate_over_seeds, t_mean
from interp_rc.stats.strata import mean_of_strata

PAIRS = "pairs"
Of = dict[str, Any]
Found = Iterator[tuple[Of, Estimate]]
"""What each estimate is of, besides the part of the measure that it is in."""
LEVELS = {"95": 0.95, "99": 0.99, "100": 1.0}
CLASSES = ("symmetric", "antisymmetric")
NAME = "symmetry"
CELL = {"label_set": "label_set", "entities": "entities", "method": "variant"}
"""Axes, and the columns that hold them."""


def estimates(table: pd.DataFrame, sizes: tuple[int, ...], seed: int) -> Estimates:
    """All that the table `evaluation/symmetry.parquet` holds."""
    found = Estimates(NAME)
    parts: dict[str, Callable[[pd.DataFrame], Found]] = {
        "main": lambda rows: main(rows, seed),
        "new_label": lambda rows: new_label(rows, seed),
        "left_out": left_out,
        "samples": lambda rows: samples(rows, sizes),
    }
    for part, made in parts.items():
        for of, one in made(table[table.protocol == part]):
            found.add(one, part=part, **of)
    return found


def by(rows: pd.DataFrame, axes: Mapping[str, str]) -> Iterator[tuple[Of, pd.DataFrame]]:
    """Each combination that there is, with its rows."""
    for key, some in rows.groupby([*axes.values()], sort=False):
        yield dict(zip(axes, map(str, key), strict=True)), some


def rate(rows: pd.DataFrame) -> float:
    """The share of pairs that were answered by their label."""
    return float(rows.hits.sum() / rows.n.sum())


def over_draws(rows: pd.DataFrame, seed: int, name: str) -> Estimate:
    """Mean over draws, with their t interval, no narrower than the pairs of a draw allow; n counts
    draws. A single draw says nothing of how draws vary: the interval is then over its pairs, which
    n counts.
    """
    by_draw = [part for _, part in rows.groupby("draw")]
    if len(by_draw) > 1:
        rates = np.array([rate(part) for part in by_draw])
        return rate_over_seeds(rates, int(by_draw[0].n.sum()))
    return bootstrap_mean(hits_of(by_draw[0]), RATE, seed=derive_seed(seed, "bootstrap", name))


def main(rows: pd.DataFrame, seed: int) -> Found:
    """By label set, entities, method, role of the pairs asked, form where there are three labels,
    and when: before or after training."""
    for of, some in by(rows, CELL | {"role": "test", "when": "when"}):
        when = of.pop("when")
        forms: list[tuple[Of, pd.DataFrame]] = [({}, some)]
        if of["label_set"] == "three_labels":
            forms += by(some, {"form": "form"})
        for form, part in forms:
            whole = of | form | {"when": when}
            yield whole, over_draws(part, seed, ".".join(whole.values()))


def new_label(rows: pd.DataFrame, seed: int) -> Found:
    """By method, and whether the label was remembered or trained together: recall of the new label
    (`neutral`), of the pairs with one of the others (`rest`), and the mean of the labels' recalls
    (`balanced`)."""
    for of, some in by(rows, {"method": "variant", "edit": "taught"}):
        new = some.label == "neutral"
        for quantity, part in (("neutral", some[new]), ("rest", some[~new])):
            whole = of | {"quantity": quantity}
            yield whole, over_draws(part, seed, ".".join(whole.values()))
        yield of | {"quantity": "balanced"}, balanced(some)


def balanced(rows: pd.DataFrame) -> Estimate:
    """Mean over labels of their recall, over draws as `over_draws`; of a single draw, over the
    pairs of each label."""
    by_draw = [[part for _, part in of.groupby("label")] for _, of in rows.groupby("draw")]
    values = np.array([np.mean([rate(part) for part in labels]) for labels in by_draw])
    if len(values) > 1:
        return rate_over_seeds(values, int(sum(part.n.sum() for part in by_draw[0])))
    return mean_of_strata([t_mean(hits_of(part), RATE) for part in by_draw[0]])


def hits_of(rows: pd.DataFrame) -> np.ndarray:
    """1 for each pair that was answered by its label, 0 for the others."""
    n, hits = int(rows.n.sum()), int(rows.hits.sum())
    return np.repeat([1.0, 0.0], [hits, n - hits])


def left_out(rows: pd.DataFrame) -> Found:
    """By label set, entities, method and when: the mean over both classes of the mean over
    relations, and of one class (the group) alone; n counts relations. After training also each
    relation by itself, of one training and so without an interval; n counts pairs."""
    for of, some in by(rows, CELL | {"when": "when"}):
        when = {"when": of.pop("when")}
        classes = {symmetry: t_mean(rates, RATE) for symmetry, rates in by_class(some).items()}
        if classes:
            yield of | when, mean_of_strata(list(classes.values()))
        for symmetry, of_class in classes.items():
            yield of | {"group": symmetry} | when, of_class
    after = rows[rows.when == "after"]
    for of, part in by(after, CELL | {"method": "method", "relation": "left_out"}):
        single = Estimate(rate(part), None, None, int(part.n.sum()), RATE)
        yield of | {"when": "after"}, single


def by_class(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """The rate of every relation (over its draws), by class."""
    rates = {str(relation): rate(part) for relation, part in rows.groupby("relation")}
    found = {
        one: np.array([value for name, value in rates.items() if symmetry_of(name) == one])
        for one in CLASSES
    }
    return {one: values for one, values in found.items() if len(values)}


def samples(rows: pd.DataFrame, sizes: tuple[int, ...]) -> Found:
    """By method: the median over draws of the smallest size that gets as many percent right
    (`needed_…`), null where most draws did not get there; the share of draws that did
    (`reached_…`); and the rate at a size, where draws that were complete at a smaller one count as
    complete. The smallest size stands for itself and all below."""
    for of, some in by(rows, {"method": "variant"}):
        tried = {
            draw: {size: rate(part) for size, part in mine.groupby(mine["size"].astype(int))}
            for draw, mine in some.groupby("draw")
        }
        pairs = int(some.groupby(["draw", "size"]).n.sum().min())
        for label, level in LEVELS.items():
            needed = np.array([_needed(rates, level) for rates in tried.values()])
            yield of | {"quantity": f"needed_{label}"}, censored_median(needed, PAIRS)
            reached = t_mean(np.isfinite(needed).astype(float), RATE)
            yield of | {"quantity": f"reached_{label}"}, reached
        for size in sizes:
            # A size that is missing was not needed: a smaller one was complete.
            values = np.array([rates.get(size, 1.0) for rates in tried.values()])
            yield of | {"size": size}, rate_over_seeds(values, pairs)


def _needed(rates: dict[int, float], level: float) -> float:
    return min((size for size, value in rates.items() if value >= level), default=np.inf)
