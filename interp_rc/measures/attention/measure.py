"""Where the answer's position looks, and what it costs to keep it from looking there."""

from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np
import pandas as pd

from interp_rc.evaluation.learnt_contrasts import check_asked, learnt_contrasts, with_conditions
from interp_rc.facts.factset import FactSet
from interp_rc.measures.base import Measure, MeasureContext
from interp_rc.models.dimensions import layers_of
from interp_rc.models.load import Loaded
from interp_rc.records.estimates import Estimates
from interp_rc.records.nouns import TOLD_ONLY, Order
from interp_rc.records.numbers import Test
from interp_rc.records.options import Positive
from interp_rc.records.runs import Measured
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.choice import choose_places
from interp_rc.stats.correction import benjamini_hochberg, holm
from interp_rc.stats.differences import paired_t
from interp_rc.stats.means import add_means, mean_of_facts
from interp_rc.tools.patching.attention_cut import ALL, cut_costs
from interp_rc.tools.readout.attention import attention

NAME = "attention"
WEIGHTS, COSTS = f"mechanism/{NAME}", f"mechanism/{NAME}_cut"
CHOSEN = 3  # heads an order
CUT, EVERY = f"{NAME}_cut", "all"
GIVEN = {"reading": "answer", "place": "source"}
"""What the tokens that say the answer give the source."""
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
        found = Estimates()
        add_weights(found, weights, seed)
        add_costs(found, costs, seed)
        add_given_in_all(found, weights, context.seed)
        add_chosen_heads(found, weights, context.seed)
        add_costliest(found, costs, context.seed)
        return Measured(estimates=found, tests=head_tests(weights) + cost_tests(costs))


def add_weights(found: Estimates, table: pd.DataFrame, seed: int) -> None:
    """By order, group, query, keys and layer: mean over heads of the pattern and of the share of
    norms, and what uniform attention would be; single heads for what the source is given."""
    causal_none = (table["query"] == "source_last") & (table["keys"] == "target")
    rows = table[~causal_none].rename(columns={"query": "reading", "keys": "place"})
    axes = "part order group reading place layer quantity"
    for quantity in ("weight", "norm_share"):
        add_means(found, rows, axes, quantity, "share", seed, part=NAME, quantity=quantity)
    axes, once = axes.replace("layer ", ""), rows[rows.layer == 0]  # it is the same in every layer
    add_means(found, once, axes, "uniform", "share", seed, part=NAME, quantity="uniform")
    heads = rows[(rows.reading == "answer") & (rows.place == "source")]
    for key, part in heads.groupby(["order", "group", "layer", "head"], sort=False):
        order, group, layer, head = key
        use = derive_seed(seed, f"attention.{order}.{group}.answer.source.{layer}.head_{head}")
        share = mean_of_facts(part, "weight", "share", seed=use)
        of = {"part": NAME, "order": order, "group": group, **GIVEN}
        found.add(share, **of, layer=layer, head=head)


def add_costs(found: Estimates, table: pd.DataFrame, seed: int) -> None:
    """By order, group, what is cut, and layer (or `all`): the cost, and that over the foil's; and
    how many tokens were cut."""
    for key, part in table.groupby(["order", "group", "keys", "layer"], sort=False):
        order, group, place, layer = key
        of = {"part": CUT, "order": order, "group": group, "place": place}
        at = {"component": EVERY} if layer == ALL else {"layer": layer}
        words = [*of.values(), *at.values()]
        use = derive_seed(seed, ".".join(map(str, words)))
        found.add(mean_of_facts(part, "cost", "nat", seed=use), **of, **at)
        over_foil = mean_of_facts(part, "over_foil", "nat", seed=use)
        found.add(over_foil, **of, **at, quantity="over_foil")
    whole = table[table.layer == ALL].rename(columns={"keys": "place"})
    axes = "part order group place quantity"
    add_means(found, whole, axes, "tokens", "token", seed, part=CUT, quantity="tokens")


def told_in_order(table: pd.DataFrame) -> Iterator[tuple[Order, pd.DataFrame]]:
    """By order, the rows of facts told in that order alone."""
    for order, group in TOLD_ONLY.items():
        rows = table[(table.order == order) & (table.group == group)]
        if len(rows):
            yield order, rows


def given_to_source(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of what the answer gives the source."""
    return table[(table["query"] == "answer") & (table["keys"] == "source")]


def add_given_in_all(found: Estimates, table: pd.DataFrame, seed: int) -> None:
    """What the answer of facts told in an order gives the source, mean over layers and heads."""
    for order, rows in told_in_order(given_to_source(table)):
        use = derive_seed(seed, "report", "attention", order)
        of = {"part": NAME, "order": order, "group": TOLD_ONLY[order], **GIVEN, "component": EVERY}
        for quantity in ("weight", "uniform"):
            share = mean_of_facts(rows, quantity, "share", seed=use)
            found.add(share, **of, quantity=quantity)


def add_chosen_heads(found: Estimates, table: pd.DataFrame, seed: int) -> None:
    """The heads that give the source most of what they move, where the answer of facts told in an
    order is said: what each was chosen by in one template, and what it gives in the others."""
    for order, rows in told_in_order(given_to_source(table)):
        use = derive_seed(seed, "report", "heads", order)
        of = {"part": NAME, "order": order}
        heads = choose_places(rows, "norm_share", ["layer", "head"], "fraction", count=CHOSEN)
        for rank, ((layer, head), by, elsewhere) in enumerate(heads, 1):
            found.add(by, **of, reading="chosen", rank=rank, layer=layer, head=head)
            for quantity in ("weight", "norm_share", "uniform"):
                share = mean_of_facts(elsewhere, quantity, "share", seed=use)
                found.add(share, **of, reading="elsewhere", rank=rank, quantity=quantity)


def add_costliest(found: Estimates, table: pd.DataFrame, seed: int) -> None:
    """The layer around which cutting the source costs facts told in an order most over the foil:
    what it was chosen by in one template, and its cost in the others."""
    single = table[(table["keys"] == "source") & (table.layer != ALL)]
    for order, rows in told_in_order(single):
        [(place, by, elsewhere)] = choose_places(rows, "over_foil", ["layer"], "nat")
        of = {"part": CUT, "order": order, "group": TOLD_ONLY[order], "place": "source"}
        found.add(by, **of, reading="chosen", layer=place[0])
        use = derive_seed(seed, "report", "cut", order)
        cost = mean_of_facts(elsewhere, "over_foil", "nat", seed=use)
        found.add(cost, **of, reading="elsewhere", quantity="over_foil")


def head_tests(table: pd.DataFrame) -> list[Test]:
    """Which heads give the source more, or less, than uniform attention would, where the answer is
    said? Paired t over facts; Benjamini-Hochberg by order and group."""
    found = []
    for (order, group), rows in given_to_source(table).groupby(["order", "group"], sort=False):
        tests = []
        for (layer, head), part in rows.groupby(["layer", "head"], sort=False):
            means = part.groupby("fact")[["weight", "uniform"]].mean()
            if len(means) > 1:
                of = {"part": NAME, "order": order, "group": group, **GIVEN}
                name = Estimates().name(**of, layer=layer, head=head)
                values = np.asarray(means.weight, float), np.asarray(means.uniform, float)
                tests.append(paired_t(*values, name=name))
        found += benjamini_hochberg(tests)
    return found


def cost_tests(table: pd.DataFrame) -> list[Test]:
    """Does the answer lose more over the foil by cutting the source than by cutting other tokens?
    One-sided paired t over facts; all layers at once with Holm, else Benjamini-Hochberg."""
    whole: list[Test] = []
    by_layer: list[Test] = []
    for (order, group, layer), rows in table.groupby(["order", "group", "layer"], sort=False):
        means = rows.groupby(["fact", "keys"]).over_foil.mean().unstack("keys")
        if "others" not in means or len(means.dropna()) < 2:
            continue
        at = {"component": EVERY} if layer == ALL else {"layer": layer}
        test = paired_t(
            means.dropna().source.to_numpy(float),
            means.dropna().others.to_numpy(float),
            name=Estimates().name(part=CUT, order=order, group=group, **at),
            alternative="greater",
        )
        (whole if layer == ALL else by_layer).append(test)
    return [*holm(whole), *benjamini_hochberg(by_layer)]
