"""Rates of right answers, and how many pairs they take, with the interval that each unit allows."""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from interp_rc.measures.symmetry.pools import symmetry_of
from interp_rc.records.numbers import Estimate
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.censored import censored_median
from interp_rc.stats.intervals import RATE, bootstrap_mean, rate_over_seeds, t_mean
from interp_rc.stats.strata import mean_of_strata

PAIRS = "pairs"
LEVELS = {"95": 0.95, "99": 0.99, "100": 1.0}
CLASSES = ("symmetric", "antisymmetric")
Found = dict[str, Estimate]
Named = Iterator[tuple[str, Estimate]]


def estimates(table: pd.DataFrame, sizes: tuple[int, ...], seed: int) -> Found:
    """All that the table `evaluation/symmetry.parquet` holds, by name."""
    found: Found = {}
    parts: dict[str, Callable[[pd.DataFrame], Named]] = {
        "main": lambda rows: main(rows, seed),
        "new_label": lambda rows: new_label(rows, seed),
        "left_out": left_out,
        "samples": lambda rows: samples(rows, sizes, seed),
    }
    for protocol, of in parts.items():
        rows = table[table.protocol == protocol]
        found |= {f"symmetry.{protocol}.{name}": one for name, one in of(rows)}
    return found


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


def main(rows: pd.DataFrame, seed: int) -> Named:
    """``<label set>.<entities>.<variant>.<test>[.<form>].<before | after>``; forms where there are
    three labels."""
    keys = ["label_set", "entities", "variant", "test"]
    for key, some in rows.groupby([*keys, "when"], sort=False):
        *place, when = map(str, key)
        parts = {"": some}
        if place[0] == "three_labels":
            parts |= {str(form): part for form, part in some.groupby("form", sort=False)}
        for form, part in parts.items():
            name = ".".join([*place, *([form] if form else []), when])
            yield name, over_draws(part, seed, name)


def new_label(rows: pd.DataFrame, seed: int) -> Named:
    """``<variant>.<remembered | together>.<neutral | rest | balanced>``: recall of the new label,
    of the pairs with one of the others, and the mean of the labels' recalls."""
    for key, some in rows.groupby(["variant", "taught"], sort=False):
        place = ".".join(map(str, key))
        new = some.label == "neutral"
        for what, part in (("neutral", some[new]), ("rest", some[~new])):
            yield f"{place}.{what}", over_draws(part, seed, f"{place}.{what}")
        yield f"{place}.balanced", balanced(some)


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


def left_out(rows: pd.DataFrame) -> Named:
    """``<label set>.<entities>.<variant>[.<symmetric | antisymmetric>].<before | after>``: the mean
    over both classes of the mean over relations, and of one class alone. n counts relations.

    ``<label set>.<entities>.<method>.<relation>.after``: each relation by itself, of one training
    and so without an interval; n counts pairs.
    """
    for key, some in rows.groupby(["label_set", "entities", "variant", "when"], sort=False):
        *place, when = map(str, key)
        name = ".".join(place)
        classes = {symmetry: t_mean(rates, RATE) for symmetry, rates in by_class(some).items()}
        if classes:
            yield f"{name}.{when}", mean_of_strata(list(classes.values()))
        for symmetry, of_class in classes.items():
            yield f"{name}.{symmetry}.{when}", of_class
    after = rows[rows.when == "after"]
    keys = ["label_set", "entities", "method", "left_out"]
    for key, part in after.groupby(keys, sort=False):
        single = Estimate(rate(part), None, None, int(part.n.sum()), RATE)
        yield f"{'.'.join(map(str, key))}.after", single


def by_class(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """The rate of every relation (over its draws), by class."""
    rates = {str(relation): rate(part) for relation, part in rows.groupby("relation")}
    found = {
        one: np.array([value for name, value in rates.items() if symmetry_of(name) == one])
        for one in CLASSES
    }
    return {one: values for one, values in found.items() if len(values)}


def samples(rows: pd.DataFrame, sizes: tuple[int, ...], seed: int) -> Named:
    """``<variant>.needed_<95 | 99 | 100>``: the median over draws of the smallest size that gets as
    many percent right, null where most draws did not get there; ``reached_<…>``: the share of
    draws that did; ``size_<n>``: the rate at a size, where draws that were complete at a smaller
    one count as complete. The smallest size stands for itself and all below."""
    for variant, some in rows.groupby("variant", sort=False):
        tried = {
            draw: {size: rate(part) for size, part in of.groupby(of["size"].astype(int))}
            for draw, of in some.groupby("draw")
        }
        pairs = int(some.groupby(["draw", "size"]).n.sum().min())
        for label, level in LEVELS.items():
            needed = np.array([_needed(rates, level) for rates in tried.values()])
            yield f"{variant}.needed_{label}", censored_median(needed, PAIRS)
            yield f"{variant}.reached_{label}", t_mean(np.isfinite(needed).astype(float), RATE)
        for size in sizes:
            # A size that is missing was not needed: a smaller one was complete.
            values = np.array([rates.get(size, 1.0) for rates in tried.values()])
            yield f"{variant}.size_{size}", rate_over_seeds(values, pairs)


def _needed(rates: dict[int, float], level: float) -> float:
    return min((size for size, value in rates.items() if value >= level), default=np.inf)
