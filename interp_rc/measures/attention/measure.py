"""Where the answer's position looks, and what it costs to keep it from looking there."""

from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from jaxtyping import Float

from interp_rc.evaluation.learnt_contrasts import check_asked, learnt_contrasts, with_conditions
from interp_rc.facts.factset import FactSet
from interp_rc.measures.base import Measure, MeasureContext
from interp_rc.models.dimensions import layers_of
from interp_rc.models.load import Loaded
from interp_rc.records.nouns import TOLD_ONLY, Order
from interp_rc.records.numbers import Estimate, Test
from interp_rc.records.options import Positive
from interp_rc.records.runs import Measured
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.choice import choose_places
from interp_rc.stats.correction import benjamini_hochberg, holm
from interp_rc.stats.differences import paired_t
from interp_rc.stats.intervals import bootstrap_mean, mean_share
from interp_rc.tools.patching.attention_cut import ALL, cut_costs
from interp_rc.tools.readout.attention import attention

NAME = "attention"
WEIGHTS, COSTS = f"mechanism/{NAME}", f"mechanism/{NAME}_cut"
CHOSEN = 3  # heads an order
OF_LAYERS = 5  # a window has a fifth of the layers (Geva et al. 2023: 9 of 48)


class Attention(Measure[Loaded]):
    """Attention from the answer and from the source, and attention knockout, on learnt facts in
    both orders.

    `window` layers are cut at once; None takes a fifth of the model's. Controls are facts told in
    the other order, uniform attention, and as many other tokens cut. Each fact is measured in
    `templates` of the templates that did not select it.
    """

    kind: Literal["attention"] = "attention"
    needs: ClassVar = frozenset({"answers"})
    looks_inside: ClassVar = True
    templates: Positive = 2
    window: Positive | None = None

    def check(self, facts: FactSet) -> None:
        check_asked(facts, self.templates, NAME)

    def run(self, context: MeasureContext[Loaded]) -> Measured:
        model = context.model
        facts = context.facts
        seed = derive_seed(context.seed, NAME)
        contrasts = learnt_contrasts(facts, context.answers, self.templates, seed)
        if not contrasts:
            return Measured()
        window = self.window or max(1, layers_of(model.model) // OF_LAYERS)
        weights = with_conditions(attention(model, contrasts), contrasts)
        costs = with_conditions(cut_costs(model, contrasts, window=window, seed=seed), contrasts)
        context.write(WEIGHTS, weights)
        context.write(COSTS, costs)
        estimates = weight_estimates(weights, seed) | cost_estimates(costs, seed)
        estimates |= given_in_all(weights, context.seed) | chosen_heads(weights, context.seed)
        return Measured(
            estimates=estimates | costliest(costs, context.seed),
            tests=head_tests(weights) + cost_tests(costs),
        )


def weight_estimates(table: pd.DataFrame, seed: int) -> dict[str, Estimate]:
    """By order, subset, query, keys and layer: mean over heads of the pattern and of the share of
    norms, and what uniform attention would be; single heads for what the source is given."""
    found = {}
    keys = ["order", "subset", "query", "keys", "layer"]
    causal_none = (table["query"] == "source_last") & (table["keys"] == "target")
    for key, part in table[~causal_none].groupby(keys, sort=False):
        for column in ("weight", "norm_share"):
            name = ".".join(["attention", *map(str, key), column])
            found[name] = _mean(part, column, "fraction", seed, name)
        if key[-1] == 0:  # it is the same in every layer
            name = ".".join(["attention", *map(str, key[:-1]), "uniform"])
            found[name] = _mean(part, "uniform", "fraction", seed, name)
    for key, part in given_to_source(table).groupby([*keys, "head"], sort=False):
        name = ".".join(["attention", *map(str, key[:-1]), f"head_{key[-1]}"])
        found[name] = _mean(part, "weight", "fraction", seed, name)
    return found


def cost_estimates(table: pd.DataFrame, seed: int) -> dict[str, Estimate]:
    """By order, subset, what is cut, and layer (or `all`): the cost, and that over the foil's; and
    how many tokens were cut."""
    found = {}
    for key, part in table.groupby(["order", "subset", "keys", "layer"], sort=False):
        order, subset, cut, layer = key
        where = "all" if layer == ALL else str(layer)
        name = f"attention_cut.{order}.{subset}.{cut}.{where}"
        found[name] = _mean(part, "cost", "nat", seed, name)
        found[f"{name}.over_foil"] = _mean(part, "over_foil", "nat", seed, name)
        if layer == ALL:
            name = f"attention_cut.{order}.{subset}.{cut}.tokens"
            found[name] = _mean(part, "tokens", "token", seed, name)
    return found


def _mean(part: pd.DataFrame, column: str, unit: str, seed: int, name: str) -> Estimate:
    values = _by_fact(part, column)
    if unit == "fraction":
        return mean_share(values.clip(0, 1), seed=derive_seed(seed, name))  # beyond by rounding
    return bootstrap_mean(values, unit, seed=derive_seed(seed, name))


def told_in_order(table: pd.DataFrame) -> Iterator[tuple[Order, pd.DataFrame]]:
    """By order, the rows of facts told in that order alone."""
    for order, subset in TOLD_ONLY.items():
        rows = table[(table.order == order) & (table.subset == subset)]
        if len(rows):
            yield order, rows


def given_to_source(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of what the answer gives the source."""
    return table[(table["query"] == "answer") & (table["keys"] == "source")]


def given_in_all(table: pd.DataFrame, seed: int) -> dict[str, Estimate]:
    """What the answer of facts told in an order gives the source, mean over layers and heads."""
    found = {}
    for order, rows in told_in_order(given_to_source(table)):
        use = derive_seed(seed, "report", "attention", order)
        for column in ("weight", "uniform"):
            name = f"attention.{order}.{TOLD_ONLY[order]}.answer.source.all.{column}"
            found[name] = mean_share(_by_fact(rows, column).clip(0, 1), seed=use)
    return found


def chosen_heads(table: pd.DataFrame, seed: int) -> dict[str, Estimate]:
    """The heads that give the source most of what they move, where the answer of facts told in an
    order is said: what each was chosen by in one template, and what it gives in the others."""
    found = {}
    for order, rows in told_in_order(given_to_source(table)):
        use = derive_seed(seed, "report", "heads", order)
        heads = choose_places(rows, "norm_share", ["layer", "head"], "fraction", count=CHOSEN)
        for rank, (place, by, elsewhere) in enumerate(heads, 1):
            name = f"attention.{order}.head_chosen_{rank}"
            found[".".join([name, *map(str, place)])] = by
            for column in ("weight", "norm_share", "uniform"):
                values = _by_fact(elsewhere, column).clip(0, 1)
                found[f"{name}_elsewhere.{column}"] = mean_share(values, seed=use)
    return found


def costliest(table: pd.DataFrame, seed: int) -> dict[str, Estimate]:
    """The layer around which cutting the source costs facts told in an order most over the foil:
    what it was chosen by in one template, and its cost in the others."""
    found = {}
    single = table[(table["keys"] == "source") & (table.layer != ALL)]
    for order, rows in told_in_order(single):
        [(place, by, elsewhere)] = choose_places(rows, "over_foil", ["layer"], "nat")
        name = f"attention_cut.{order}.{TOLD_ONLY[order]}.source"
        found[f"{name}.chosen.{place[0]}"] = by
        found[f"{name}.elsewhere.over_foil"] = bootstrap_mean(
            _by_fact(elsewhere, "over_foil"), "nat", seed=derive_seed(seed, "report", "cut", order)
        )
    return found


def _by_fact(rows: pd.DataFrame, column: str) -> Float[np.ndarray, " fact"]:
    means: np.ndarray = rows.groupby("fact")[column].mean().to_numpy(float)
    return means


def head_tests(table: pd.DataFrame) -> list[Test]:
    """Which heads give the source more, or less, than uniform attention would, where the answer is
    said? Paired t over facts; Benjamini-Hochberg by order and subset."""
    found = []
    for (order, subset), rows in given_to_source(table).groupby(["order", "subset"], sort=False):
        tests = []
        for (layer, head), part in rows.groupby(["layer", "head"], sort=False):
            means = part.groupby("fact")[["weight", "uniform"]].mean()
            if len(means) > 1:
                name = f"attention.{order}.{subset}.answer.source.{layer}.head_{head}"
                values = np.asarray(means.weight, float), np.asarray(means.uniform, float)
                tests.append(paired_t(*values, name=name))
        found += benjamini_hochberg(tests)
    return found


def cost_tests(table: pd.DataFrame) -> list[Test]:
    """Does the answer lose more over the foil by cutting the source than by cutting other tokens?
    One-sided paired t over facts; all layers at once with Holm, else Benjamini-Hochberg."""
    whole: list[Test] = []
    by_layer: list[Test] = []
    for (order, subset, layer), rows in table.groupby(["order", "subset", "layer"], sort=False):
        means = rows.groupby(["fact", "keys"]).over_foil.mean().unstack("keys")
        if "others" not in means or len(means.dropna()) < 2:
            continue
        where = "all" if layer == ALL else str(layer)
        test = paired_t(
            means.dropna().source.to_numpy(float),
            means.dropna().others.to_numpy(float),
            name=f"attention_cut.{order}.{subset}.{where}",
            alternative="greater",
        )
        (whole if layer == ALL else by_layer).append(test)
    return [*holm(whole), *benjamini_hochberg(by_layer)]
