"""Key–value memories on planted models: the planted neurons, their values, and values as keys."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from analysis.planted_tools.finding import Finding, finding
from interp_rc.engine.effect_estimates import beyond_floor
from interp_rc.facts.factset import FactSet
from interp_rc.measures.memories.measure import coefficient_sites
from interp_rc.measures.transposition.measure import recalled
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.load import Loaded
from interp_rc.models.planted.plan import Planted
from interp_rc.models.planted.plant import DESCRIPTION_WORDS, contrasts
from interp_rc.models.planted.weights import exact
from interp_rc.records.nouns import ORDERS, Fact, Order, Query
from interp_rc.records.numbers import Test
from interp_rc.stats.correction import benjamini_hochberg
from interp_rc.tools.neurons.curves import neuron_curves
from interp_rc.tools.neurons.exchange import exchange_values
from interp_rc.tools.neurons.key_values import key_values
from interp_rc.tools.neurons.ranking import rank_neurons
from interp_rc.tools.patching.patching import patch

FLOOR = 1e-9  # of what is computed in float64
NATS = 1e-6  # likewise, of log-probabilities
KS = [1, 2, 4, 8, 16, 32]


def coefficients(one: Planted, order: Order) -> Finding | None:
    """The planted place: the store's layer, all of its coefficients given. Null: other layers, a
    decoy's among them."""
    if order not in one.neurons:
        return None
    model, asked = in_float64(one), one.contrasts[order]
    table = patch(model, asked, coefficient_sites(model)).table
    effects = {f"layer_{n}": by_fact(part.effect, part.fact) for n, part in table.groupby("layer")}
    store = f"layer_{one.store[order].place.layer}"
    first = max(effects, key=lambda name: effects[name].mean()) == store
    return finding(first, at_sites(effects, NATS), *_null(effects, set(effects) - {store}))


def neurons(one: Planted, order: Order) -> Finding | None:
    """The planted place: the fact's own neuron, before all others. Null: neurons of no look-up. A
    decoy's neurons are neither: one of them alone makes the stream longer, and norms see that."""
    if order not in one.neurons:
        return None
    model, asked = in_float64(one), one.contrasts[order]
    found = rank_neurons(model, asked)
    layers, width = found.score.shape[1:]
    store = one.store[order].place.layer
    first = all(
        int(found.order(number)[0]) == store * width + one.neurons[order][int(contrast.fact)]
        for number, contrast in enumerate(asked)
    )
    facts = [contrast.fact for contrast in asked]
    effects = {
        f"{layer}.{neuron}": by_fact(found.score[:, layer, neuron].tolist(), facts)
        for layer in range(layers)
        for neuron in range(width)
    }
    null = {f"{layer}.{neuron}" for layer, some in enumerate(_empty(model)) for neuron in some}
    return finding(first, at_sites(effects), *_null(effects, null))


def few_neurons(one: Planted, order: Order) -> Finding | None:
    """The planted place: one neuron brings nine tenths of what all bring. Null: neurons at random
    that write as much, where the first k hold both facts' neurons and no decoy is about."""
    if order not in one.neurons:
        return None
    model, asked = in_float64(one), one.contrasts[order]
    table = neuron_curves(model, asked, rank_neurons(model, asked), ks=KS)
    given = table[table.act == "transplant"]
    by_k = given.groupby(["set", "k"]).effect.mean()
    first = by_k["top", 1] >= 0.9 * by_k["top", max(KS)] > 1
    drawn = given[(given.set == "random") & (given.k > 1) & (one.kind != "decoy")]
    effects = {f"k{k}": by_fact(part.effect, part.fact) for k, part in drawn.groupby("k")}
    return finding(bool(first), at_sites(effects, NATS), *_null(effects, set(effects)))


def exchanged(one: Planted, order: Order) -> Finding | None:
    """The planted place: with its value, the key of the one fact brings the other's answer, up to
    what that fact itself has. Null: the values of a third fact, and another layer."""
    if order not in one.neurons:
        return None
    model, asked = in_float64(one), one.contrasts[order]
    ranked, store = rank_neurons(model, asked), one.store[order].place.layer
    elsewhere = (store + 1) % ranked.score.shape[1]
    tables = [exchange_values(model, asked, ranked, layer=n, ks=[1]) for n in (store, elsewhere)]
    table = pd.concat(tables)
    table = table[table.of == "other"]
    here = table[table.layer == store]
    own = here[here.swapped_with == "other"]
    answer = exchange_values(model, asked, ranked, layer=elsewhere, ks=[1])
    unchanged = answer[(answer.of == "own") & (answer.swapped_with == "other")].value.mean()
    first = abs(own.value.mean() - unchanged) < 0.01 and own.effect.mean() > 1
    effects = {
        name: by_fact(part.effect, part.fact)
        for name, part in (
            ("own", own),
            ("third", here[here.swapped_with == "third"]),
            ("elsewhere", table[table.layer == elsewhere]),
        )
    }
    tests = at_sites(effects, NATS)
    return finding(bool(first), tests, *_null(effects, {"third", "elsewhere"}))


def transposed(one: Planted, order: Order) -> Finding | None:
    """The planted place: the store of facts whose written values are what the other entity's token
    brings. Null: every layer of all other plantings, and the layers beside the store."""
    if order not in one.neurons or (one.kind != "value_as_key" and order == "backward"):
        return None
    table = recalled(in_float64(one), facts_of(one), 0)
    table = table[(table.order == order) & (table.reading == "value_as_key")]
    effects = {f"layer_{n}": part.z.to_numpy(float) for n, part in table.groupby("layer")}
    store = f"layer_{one.store[order].place.layer}"
    planted = one.kind == "value_as_key"
    best = max(effects, key=lambda name: effects[name].mean())
    null = set(effects) - ({store} if planted else set())
    first = bool(best == store and effects[store].mean() > 1) if planted else None
    return finding(first, at_sites(effects), *_null(effects, null))


def in_float64(one: Planted) -> Loaded:
    return Loaded(exact(one.loaded.model), one.loaded.tokenizer)


def by_fact(values: Sequence[float], facts: Sequence[str]) -> np.ndarray:
    return pd.Series(list(values)).groupby(list(facts)).mean().to_numpy(float)


def _null(effects: dict[str, np.ndarray], null: set[str]) -> tuple[set[str], list[float]]:
    """Names of the null sites, and all that was found there."""
    return null, [float(value) for name in null for value in effects[name]]


def _empty(model: Loaded) -> list[list[int]]:
    """By layer, the neurons that nothing was written into."""
    adapter = Adapter(model.model)
    values = [key_values(adapter, layer).values for layer in range(adapter.layers)]
    return [(of_layer.abs().sum(1) == 0).nonzero()[:, 0].tolist() for of_layer in values]


def at_sites(effects: dict[str, np.ndarray], floor: float = FLOOR) -> list[Test]:
    tests = []
    for name, values in effects.items():
        test = beyond_floor(values, floor, name)
        # Planted facts may all have the same effect, of which a t test can say nothing.
        certain = test.p is None and float(np.abs(values.mean())) > floor
        tests.append(replace(test, p=0.0) if certain else test)
    return benjamini_hochberg(tests)


def facts_of(one: Planted) -> FactSet:
    """The planted facts with the prompts of both orders, also where there is no store for one."""
    asked = {order: contrasts(pairs_of(one), order) for order in ORDERS}
    by_fact = {c.fact: (c.target, d.target) for c, d in zip(*asked.values(), strict=True)}
    facts = [
        Fact(fact, name.strip(), "is", description.strip(), "both")
        for fact, (description, name) in by_fact.items()
    ]
    queries = [
        Query(
            id=c.id,
            fact=c.fact,
            group="both",
            order=order,
            direction=None,
            template=c.id.rpartition("-")[2],
            seen="nowhere",
            prompt=c.clean,
            target=c.target,
            candidates=[c.target],
            spans={"subject" if order == "forward" else "object": [c.spans["source"][0]]},
        )
        for order, some in asked.items()
        for c in some
    ]
    return FactSet(facts=facts, relations=[], templates=[], documents=[], queries=queries, seed=0)


def pairs_of(one: Planted) -> list[int]:
    """The description of each name, by number."""
    answers = {c.fact: c.target.strip() for c in one.contrasts["forward"]}
    return [DESCRIPTION_WORDS.index(answers[str(i)]) for i in range(len(answers))]
