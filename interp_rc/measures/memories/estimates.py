"""What the tables of key–value memories come to: estimates and tests over facts."""

from collections.abc import Mapping
from itertools import product

import numpy as np
import pandas as pd

from interp_rc.records.estimates import Estimates
from interp_rc.records.nouns import ORDERS, TOLD_OTHERWISE
from interp_rc.records.numbers import Estimate, Test
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.correction import holm
from interp_rc.stats.differences import paired_t
from interp_rc.stats.intervals import bootstrap_mean
from interp_rc.stats.means import add_mean, means_by_fact
from interp_rc.tools.neurons.curves import to_half

NAME = "memories"
CURVES, LAYERS, EXCHANGED, NEURONS, WRITERS = (
    f"mechanism/{NAME}{part}" for part in ("", "_layers", "_exchange", "_neurons", "_writers")
)
GROUPS = {"order": "order", "group": "group"}
FEW = 16  # neurons that the tests are about
ENOUGH = 0.95  # of what the first k write


def estimates(tables: Mapping[str, pd.DataFrame], seed: int) -> Estimates:
    """Effects by order and group. Of the first k neurons and of k at random, as far as there are
    enough to write as much, by what is done to them [nat]; of all neurons of a layer [nat]; of
    values that are exchanged, on the answer of the other fact and on the own [nat]; and what
    neurons write straight into logits [logit]."""
    found = Estimates(NAME)
    curves = tables[CURVES]
    wide = curves.pivot_table(index=["act", "k"], columns="set", values="write")
    enough = dict((wide.random >= ENOUGH * wide.top).items())
    for of, values in means_by_fact(curves, GROUPS | {"edit": "act", "set": "set", "count": "k"}):
        if of["set"] == "top" or enough[of["edit"], of["count"]]:
            add_mean(found, values, "nat", seed, **of)
    add_halves(found, curves[curves.set == "top"], seed)
    for of, values in means_by_fact(tables[LAYERS], GROUPS | {"layer": "layer"}):
        add_mean(found, values, "nat", seed, **of, quantity="given")
    for of, values in means_by_fact(tables[WRITERS], GROUPS | {"set": "neurons", "target": "of"}):
        of["set"] = f"written_by_{of['set']}"
        add_mean(found, values, "logit", seed, **of)
    if EXCHANGED in tables:
        axes = GROUPS | {"edit": "swapped_with", "target": "of", "count": "k"}
        for of, values in means_by_fact(tables[EXCHANGED], axes):
            of |= {"edit": f"exchange_with_{of['edit']}", "target": f"{of['target']}_target"}
            add_mean(found, values, "nat", seed, **of)
    return found


def add_halves(found: Estimates, top: pd.DataFrame, seed: int) -> None:
    """Add how many of the first neurons do half of what all do together: the geometric mean over
    facts whose neurons do anything [neurons]."""
    axes = GROUPS | {"edit": "act"}
    for key, part in top.groupby([*axes.values()], sort=False):
        of = dict(zip(axes, key, strict=True)) | {"quantity": "neurons_to_half"}
        by_fact = part.pivot_table(index="fact", columns="k", values="effect").sort_index(axis=1)
        sign = 1 if of["edit"] == "transplant" else -1
        ks = [int(str(k)) for k in by_fact]
        halves = [to_half(ks, sign * row) for row in by_fact.to_numpy(float)]
        logs = np.array([np.log2(half) for half in halves if half is not None])
        if len(logs):
            one = bootstrap_mean(logs, "log2", seed=derive_seed(seed, found.name(**of)))
            value, low, high = (None if v is None else 2**v for v in (one.value, one.low, one.high))
            found.add(Estimate(value, low, high, one.n, "neurons"), **of)


def tests(tables: Mapping[str, pd.DataFrame]) -> list[Test]:
    """Do the first few neurons carry more than others that write as much? Does the foil gain more
    from its own fact's values than from a third fact's? Paired over facts, one-sided, Holm."""
    curves, exchanged = tables[CURVES], tables.get(EXCHANGED)
    few = curves[(curves.k == FEW) & (curves.act == "transplant")]
    found = more(few, "set", ("top", "random"), "top_more_than_random")
    if exchanged is not None:
        few = exchanged[(exchanged.k == FEW) & (exchanged.of == "other")]
        found += more(few, "swapped_with", ("other", "third"), "exchange_brings_the_answer")
    return holm(found)


def more(few: pd.DataFrame, column: str, pair: tuple[str, str], question: str) -> list[Test]:
    """Of facts told in an order or in both, by order and group: is the effect where `column` has
    the first of the pair greater than where it has the second?"""
    found = []
    for order, group in product(ORDERS, dict.fromkeys(few.group)):
        part = few[(few.order == order) & (few.group == group)]
        by_fact = part.pivot_table(index="fact", columns=column, values="effect")
        if group != TOLD_OTHERWISE[order] and len(by_fact) > 1:
            ends = (by_fact[one].to_numpy(float) for one in pair)
            name = f"{NAME}.{order}.{group}.{question}"
            found.append(paired_t(*ends, name=name, alternative="greater"))
    return found
