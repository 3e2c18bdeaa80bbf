"""The map: what each place of the network carries of a fact, by activation patching."""

from collections.abc import Sequence
from itertools import product
from typing import Annotated, ClassVar, Literal

import pandas as pd
from pydantic import Field

from interp_rc.engine.effects import Effects
from interp_rc.engine.sites import PROMPT, Site, Token
from interp_rc.evaluation.learnt import learnt_facts
from interp_rc.evaluation.learnt_contrasts import check_asked, learnt_contrasts, with_conditions
from interp_rc.facts.factset import FactSet
from interp_rc.measures.base import Measure, MeasureContext
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.adapters.parts import Component
from interp_rc.models.load import Loaded
from interp_rc.records.estimates import Estimates
from interp_rc.records.limits import MOST_COUNT
from interp_rc.records.nouns import GROUPS, ORDERS, TOLD_ONLY, Contrast
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.choice import choose_places
from interp_rc.stats.means import add_means, mean_of_facts
from interp_rc.tools.patching.discoveries import discoveries
from interp_rc.tools.patching.patching import noise_floors, patch

NAME = "patching_map"
EFFECTS, BASELINES = f"mechanism/{NAME}", f"mechanism/{NAME}_baselines"
MAPPED: tuple[Component, ...] = ("attn_out", "mlp_out", "resid_post")
PLACES: dict[str, tuple[str, Token]] = {
    "source_first": ("source", "first"),
    "source_last": ("source", "last"),
    "source_all": ("source", "all"),
    "prompt_last": (PROMPT, "last"),
}
CHOSEN_AT = {
    "source": [place for place in PLACES if place != "prompt_last"],
    "prompt_last": ["prompt_last"],
}


class PatchingMap(Measure[Loaded]):
    """Layers x tokens x components; corrupted = another learnt fact of the group in the same
    template. Each fact is measured in `templates` of the templates that did not select it."""

    kind: Literal["patching_map"] = "patching_map"
    needs: ClassVar = frozenset({"answers"})
    looks_inside: ClassVar = True
    templates: Annotated[int, Field(ge=2, le=MOST_COUNT)] = 2

    def check(self, facts: FactSet) -> None:
        check_asked(facts, self.templates, NAME)

    def run(self, context: MeasureContext[Loaded]) -> Measured:
        model, facts = context.model, context.facts
        seed = derive_seed(context.seed, NAME)
        answers = context.answers
        contrasts = learnt_contrasts(facts, answers, self.templates, seed)
        found = Estimates("patching")
        if not contrasts:
            add_learnt(found, answers, facts, seed)
            return Measured(estimates=found)
        sites = map_sites(Adapter(model.model))
        effects = patch(model, contrasts, sites)
        floor = float(noise_floors(model, contrasts, sites).floor.max())
        table, baselines = with_condition(effects, contrasts)
        context.write(EFFECTS, table)
        context.write(BASELINES, baselines)
        apart = baselines.assign(apart=baselines.clean - baselines.corrupted)
        found.add(Estimate(floor, None, None, len(contrasts), "nat"), quantity="noise_floor")
        add_learnt(found, answers, facts, seed)
        add_means(found, apart, "order group quantity", "apart", "nat", seed, quantity="total")
        add_means(found, table, "order group component layer place", "effect", "nat", seed)
        add_chosen(found, table, context.seed)
        add_totals_elsewhere(found, apart, context.seed)
        return Measured(
            estimates=found,
            tests=[
                test
                for (order, group), part in table.groupby(["order", "group"], sort=False)
                for test in discoveries(part, floor, f"patching.{order}.{group}")
            ],
        )


def map_sites(adapter: Adapter) -> list[Site]:
    """Of those of the components that are known in this model."""
    return [
        Site(component, layer, span, token)
        for component in MAPPED
        if component in adapter.offered
        for layer in range(adapter.layers)
        for span, token in PLACES.values()
    ]


def with_condition(
    effects: Effects, contrasts: Sequence[Contrast]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both tables with `group` and `template`, and the effects with `place`."""
    names = {tokens: place for place, tokens in PLACES.items()}
    table = with_conditions(effects.table, contrasts)
    baselines = with_conditions(effects.baselines, contrasts)
    table["place"] = [names[tokens] for tokens in zip(table.span, table.token, strict=True)]
    return table, baselines


def add_chosen(found: Estimates, table: pd.DataFrame, seed: int) -> None:
    """The attention or MLP output with the largest effect on facts told in the order that they are
    asked in, at the source and at the prompt's last token: what it was chosen by in one template,
    and what it does in the others, by group."""
    could = table[(table.site != "resid_post") & ~table.structural_zero]
    for order, (at, places) in product(ORDERS, CHOSEN_AT.items()):
        rows = could[(could.order == order) & could.place.isin(places)]
        told = rows.group == TOLD_ONLY[order]
        if not told.any():
            continue
        [best] = choose_places(rows, "effect", ["site", "layer", "place"], "nat", among=told)
        component, layer, place = best.place
        of = {"component": component, "layer": layer, "place": place}
        found.add(best.by, order=order, reading="chosen", **of)
        of = {"order": order, "reading": "elsewhere", "place": at}
        axes, use = "order reading place group", ("report", "peak", order)
        add_means(found, best.elsewhere, axes, "effect", "nat", seed, use, **of)


def add_totals_elsewhere(found: Estimates, baselines: pd.DataFrame, seed: int) -> None:
    """What separates two facts told in an order, in the templates that no site is chosen in."""
    for order, group in TOLD_ONLY.items():
        asked = baselines[baselines.order == order]
        rows = asked[asked.group == group]
        if len(rows):
            rows = rows[rows.template != asked.template.iloc[0]]
            use = derive_seed(seed, "report", "total", order)
            total = mean_of_facts(rows, "apart", "nat", seed=use)
            found.add(total, order=order, reading="elsewhere", quantity="total")


def add_learnt(found: Estimates, answers: pd.DataFrame, facts: FactSet, seed: int) -> None:
    """Share of each group's facts that were learnt, as the map of that order selects them."""
    ids = {order: {*learnt_facts(answers, facts.queries, order)} for order in ORDERS}
    rows = [
        (order, fact.group, fact.id, float(fact.id in ids[order]))
        for order, group in product(ORDERS, GROUPS)
        for fact in facts.facts
        if fact.group == group
    ]
    table = pd.DataFrame(rows, columns=["order", "group", "fact", "learnt"])
    axes = "order group quantity"
    add_means(found, table, axes, "learnt", "fraction", seed, quantity="learnt")
