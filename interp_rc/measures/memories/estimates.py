"""What the tables of key–value memories come to: estimates and tests over facts."""

from itertools import product

import numpy as np
import pandas as pd

from interp_rc.records.nouns import ORDERS, TOLD_OTHERWISE
from interp_rc.records.numbers import Estimate, Test
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.differences import paired_t
from interp_rc.stats.intervals import bootstrap_mean
from interp_rc.tools.neurons.curves import to_half

NAME = "memories"
FEW = 16  # neurons that the tests are about
ENOUGH = 0.95  # of what the first k write


def curve_estimates(table: pd.DataFrame, seed: int) -> dict[str, Estimate]:
    """Effects by order, subset, act, set and k [nat], of neurons at random as far as there are
    enough to write as much; and the number of neurons to half of what all do (the geometric mean
    over facts whose neurons do anything together)."""
    found = {}
    wide = table.pivot_table(index=["act", "k"], columns="set", values="write")
    enough = dict((wide.random >= ENOUGH * wide.top).items())
    for key, part in table.groupby(["order", "subset", "act", "set", "k"], sort=False):
        if key[3] == "random" and not enough[key[2], key[4]]:
            continue
        *names, k = map(str, key)
        name = ".".join([NAME, *names, f"k{k}"])
        found[name] = _mean(part.groupby("fact").effect.mean(), "nat", seed, name)
    top = table[table.set == "top"]
    for key, part in top.groupby(["order", "subset", "act"], sort=False):
        by_fact = part.pivot_table(index="fact", columns="k", values="effect").sort_index(axis=1)
        sign = 1 if key[2] == "transplant" else -1
        ks = [int(str(k)) for k in by_fact]
        halves = [to_half(ks, sign * row) for row in by_fact.to_numpy(float)]
        logs = pd.Series([np.log2(half) for half in halves if half is not None], dtype=float)
        name = ".".join([NAME, *map(str, key), "neurons_to_half"])
        if len(logs):
            found[name] = _power_of_two(_mean(logs, "log2", seed, name))
    return found


def _power_of_two(one: Estimate) -> Estimate:
    value, low, high = (None if v is None else 2**v for v in (one.value, one.low, one.high))
    return Estimate(value, low, high, one.n, "neurons")


def exchange_estimates(table: pd.DataFrame, seed: int) -> dict[str, Estimate]:
    found = {}
    keys = ["order", "subset", "swapped_with", "of", "k"]
    for key, part in table.groupby(keys, sort=False):
        *names, k = map(str, key)
        order, subset, swapped_with, of = names
        name = f"{NAME}.{order}.{subset}.exchange_with_{swapped_with}.{of}_target.k{k}"
        found[name] = _mean(part.groupby("fact").effect.mean(), "nat", seed, name)
    return found


def layer_estimates(table: pd.DataFrame, seed: int) -> dict[str, Estimate]:
    """What all coefficients of one layer bring [nat]."""
    found = {}
    for key, part in table.groupby(["order", "subset", "layer"], sort=False):
        order, subset, layer = map(str, key)
        name = f"{NAME}.{order}.{subset}.layer_{layer}.given"
        found[name] = _mean(part.groupby("fact").effect.mean(), "nat", seed, name)
    return found


def curve_tests(table: pd.DataFrame) -> list[Test]:
    """Do the first few neurons carry more than others that write as much?"""
    tests = []
    few = table[(table.k == FEW) & (table.act == "transplant")]
    for (order, subset), part in few.groupby(["order", "subset"], sort=False):
        by_fact = part.pivot_table(index="fact", columns="set", values="effect")
        if (order, subset) not in TOLD_OTHERWISE.items() and len(by_fact) > 1:
            top, drawn = (by_fact[kind].to_numpy(float) for kind in ("top", "random"))
            name = f"{NAME}.{order}.{subset}.top_more_than_random"
            tests.append(paired_t(top, drawn, name=name, alternative="greater"))
    return tests


def exchange_tests(table: pd.DataFrame) -> list[Test]:
    """Does the foil gain more from its own fact's values than from a third fact's?"""
    tests = []
    few = table[(table.k == FEW) & (table.of == "other")]
    for order, subset in product(ORDERS, dict.fromkeys(few.subset)):
        part = few[(few.order == order) & (few.subset == subset)]
        by_fact = part.pivot_table(index="fact", columns="swapped_with", values="effect")
        if subset != TOLD_OTHERWISE[order] and len(by_fact) > 1:
            own, third = (by_fact[whose].to_numpy(float) for whose in ("other", "third"))
            name = f"{NAME}.{order}.{subset}.exchange_brings_the_answer"
            tests.append(paired_t(own, third, name=name, alternative="greater"))
    return tests


def _mean(per_fact: "pd.Series[float]", unit: str, seed: int, name: str) -> Estimate:
    values = per_fact.to_numpy(float)
    return bootstrap_mean(values, unit, seed=derive_seed(seed, name))


def writer_estimates(table: pd.DataFrame, seed: int) -> dict[str, Estimate]:
    found = {}
    keys = ["order", "subset", "of", "neurons"]
    for key, part in table.groupby(keys, sort=False):
        order, subset, of, kind = map(str, key)
        name = f"{NAME}.{order}.{subset}.written_by_{kind}.{of}"
        found[name] = _mean(part.groupby("fact").effect.mean(), "logit", seed, name)
    return found
