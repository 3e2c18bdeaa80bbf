"""The map: what each place of the network carries of a fact, by activation patching."""

from collections.abc import Sequence
from itertools import product
from typing import Annotated, ClassVar, Literal

import numpy as np
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
from interp_rc.records.limits import MOST_COUNT
from interp_rc.records.nouns import ORDERS, SUBSETS, TOLD_ONLY, Contrast
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.choice import choose_places
from interp_rc.stats.intervals import bootstrap_mean
from interp_rc.tools.patching.discoveries import discoveries
from interp_rc.tools.patching.patching import noise_floors, patch

NAME = "patching_map"
EFFECTS, BASELINES = f"mechanism/{NAME}", f"mechanism/{NAME}_baselines"
MAPPED: tuple[Component, ...] = ("attn_out", "mlp_out", "resid_post")
WHERE: dict[str, tuple[str, Token]] = {
    "source_first": ("source", "first"),
    "source_last": ("source", "last"),
    "source_all": ("source", "all"),
    "prompt_last": (PROMPT, "last"),
}
CHOSEN_AT = {
    "source": [where for where in WHERE if where != "prompt_last"],
    "prompt_last": ["prompt_last"],
}


class PatchingMap(Measure[Loaded]):
    """Layers x tokens x components; corrupted = another learnt fact of the subset in the same
    template. Each fact is measured in `templates` of the templates that did not select it."""

    kind: Literal["patching_map"] = "patching_map"
    needs: ClassVar = frozenset({"answers"})
    looks_inside: ClassVar = True
    templates: Annotated[int, Field(ge=2, le=MOST_COUNT)] = 2

    def check(self, facts: FactSet) -> None:
        check_asked(facts, self.templates, NAME)

    def run(self, context: MeasureContext[Loaded]) -> Measured:
        model = context.model
        facts = context.facts
        seed = derive_seed(context.seed, NAME)
        answers = context.answers
        contrasts = learnt_contrasts(facts, answers, self.templates, seed)
        if not contrasts:
            learnt = _learnt(answers, facts, seed)
            return Measured(estimates={f"patching.{k}": v for k, v in learnt.items()})
        sites = map_sites(Adapter(model.model))
        effects = patch(model, contrasts, sites)
        floor = float(noise_floors(model, contrasts, sites).floor.max())
        table, baselines = with_condition(effects, contrasts)
        context.write(EFFECTS, table)
        context.write(BASELINES, baselines)
        estimates = {"noise_floor": Estimate(floor, None, None, len(contrasts), "nat")}
        estimates |= _learnt(answers, facts, seed) | totals(baselines, seed) | by_site(table, seed)
        estimates |= chosen_sites(table, context.seed) | totals_elsewhere(baselines, context.seed)
        return Measured(
            estimates={f"patching.{name}": value for name, value in estimates.items()},
            tests=[
                test
                for (order, subset), part in table.groupby(["order", "subset"], sort=False)
                for test in discoveries(part, floor, f"patching.{order}.{subset}")
            ],
        )


def map_sites(adapter: Adapter) -> list[Site]:
    """Of those of the components that are known in this model."""
    return [
        Site(component, layer, span, token)
        for component in MAPPED
        if component in adapter.offered
        for layer in range(adapter.layers)
        for span, token in WHERE.values()
    ]


def with_condition(
    effects: Effects, contrasts: Sequence[Contrast]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both tables with `subset` and `template`, and the effects with `where`."""
    names = {place: name for name, place in WHERE.items()}
    table = with_conditions(effects.table, contrasts)
    baselines = with_conditions(effects.baselines, contrasts)
    table["where"] = [names[place] for place in zip(table.span, table.token, strict=True)]
    return table, baselines


def totals(baselines: pd.DataFrame, seed: int) -> dict[str, Estimate]:
    """Clean less corrupted log-probability of the target, by order and subset."""
    found = {}
    for (order, subset), part in baselines.groupby(["order", "subset"], sort=False):
        per_fact = (part.clean - part.corrupted).groupby(part.fact).mean()
        found[f"{order}.{subset}.total"] = _mean(per_fact, seed, f"{order}.{subset}.total")
    return found


def by_site(table: pd.DataFrame, seed: int) -> dict[str, Estimate]:
    """The effect of each site that can have one in some contrast, by order and subset."""
    found = {}
    keys = ["order", "subset", "site", "layer", "where"]
    for key, part in table.groupby(keys, sort=False):
        if part.structural_zero.all():
            continue
        name = ".".join(map(str, key))
        found[name] = _mean(part.groupby("fact").effect.mean(), seed, name)
    return found


def chosen_sites(table: pd.DataFrame, seed: int) -> dict[str, Estimate]:
    """The attention or MLP output with the largest effect on facts told in the order that they are
    asked in, at the source and at the prompt's last token: what it was chosen by in one template,
    and what it does in the others, by subset."""
    found = {}
    could = table[(table.site != "resid_post") & ~table.structural_zero]
    for order, (at, wheres) in product(ORDERS, CHOSEN_AT.items()):
        rows = could[(could.order == order) & could["where"].isin(wheres)]
        told = rows.subset == TOLD_ONLY[order]
        if not told.any():
            continue
        [best] = choose_places(rows, "effect", ["site", "layer", "where"], "nat", among=told)
        found[".".join([order, "chosen", at, *map(str, best.place)])] = best.by
        use = derive_seed(seed, "report", "peak", order)
        for subset, part in best.elsewhere.groupby("subset"):
            per_fact = part.groupby("fact").effect.mean().to_numpy(float)
            found[f"{order}.elsewhere.{at}.{subset}"] = bootstrap_mean(per_fact, "nat", seed=use)
    return found


def totals_elsewhere(baselines: pd.DataFrame, seed: int) -> dict[str, Estimate]:
    """What separates two facts told in an order, in the templates that no site is chosen in."""
    found = {}
    for order, subset in TOLD_ONLY.items():
        asked = baselines[baselines.order == order]
        told = asked[asked.subset == subset]
        if told.empty:
            continue
        rows = told[told.template != asked.template.iloc[0]]
        per_fact = (rows.clean - rows.corrupted).groupby(rows.fact).mean().to_numpy(float)
        use = derive_seed(seed, "report", "total", order)
        found[f"{order}.elsewhere.total"] = bootstrap_mean(per_fact, "nat", seed=use)
    return found


def _mean(per_fact: pd.Series, seed: int, name: str) -> Estimate:
    values = np.asarray(per_fact, dtype=float)
    return bootstrap_mean(values, "nat", seed=derive_seed(seed, name))


def _learnt(answers: pd.DataFrame, facts: FactSet, seed: int) -> dict[str, Estimate]:
    """Share of each subset's facts that were learnt, as the map of that order selects them."""
    found = {}
    for order in ORDERS:
        learnt = set(learnt_facts(answers, facts.queries, order))
        for subset in SUBSETS:
            values = [float(f.id in learnt) for f in facts.facts if f.subset == subset]
            if values:
                name = f"{order}.{subset}.learnt"
                found[name] = bootstrap_mean(
                    np.array(values), "fraction", seed=derive_seed(seed, name)
                )
    return found
