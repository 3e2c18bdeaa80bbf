"""What the probability of a fact's target rests on, in either order: the measure."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Literal

import pandas as pd

from interp_rc.evaluation.learnt_contrasts import (
    check_asked,
    learnt_contrasts,
    paired,
    with_conditions,
)
from interp_rc.evaluation.queries import groups_of
from interp_rc.facts.contrasts import about_foil
from interp_rc.facts.factset import FactSet
from interp_rc.measures.base import Measure, MeasureContext
from interp_rc.measures.integrated_gradients.spans import ANSWER, REST, by_span
from interp_rc.models.dimensions import layers_of
from interp_rc.models.load import Loaded
from interp_rc.models.machine import threads_for
from interp_rc.records.estimates import Estimates
from interp_rc.records.nouns import Contrast
from interp_rc.records.numbers import Estimate
from interp_rc.records.options import Positive
from interp_rc.records.runs import Measured
from interp_rc.records.seeds import derive_seed, generator
from interp_rc.stats.means import add_means, mean_of_facts
from interp_rc.tools.attribution.integrated_gradients import integrated_gradients
from interp_rc.tools.patching.discoveries import discoveries

NAME = "integrated_gradients"
TABLE = f"mechanism/{NAME}"
PLACES = ("source", ANSWER)


class IntegratedGradients(Measure[Loaded]):
    """Those that were learnt of `facts` facts a group, in both orders, in `templates` of
    the templates that did not select them; the target and, as control, the target of another fact
    (the foil) after the same prompt. Both facts of a pair are asked about: what makes one target
    likelier whatever is asked falls out of the pair, which is the unit of every interval."""

    kind: Literal["integrated_gradients"] = "integrated_gradients"
    needs: ClassVar = frozenset({"answers"})
    looks_inside: ClassVar = True
    facts: Positive = 12
    templates: Positive = 1

    def check(self, facts: FactSet) -> None:
        check_asked(facts, self.templates, NAME)

    def run(self, context: MeasureContext[Loaded]) -> Measured:
        model = context.model
        facts = context.facts
        seed = derive_seed(context.seed, NAME)
        some = fewer(facts, self.facts, seed)
        asked = paired(learnt_contrasts(some, context.answers, self.templates, seed))
        if not asked:
            return Measured()
        with threads_for(model.model):
            table = with_conditions(attributed(model, asked), asked)
        context.write(TABLE, table)
        whole = table[table.method == NAME]
        bound, floor = bound_of(whole), floor_of(whole)
        found = Estimates(NAME)
        found.add(Estimate(floor, None, None, bound.fact.nunique(), "nat"), quantity="floor")
        found.add(incomplete(whole, seed), quantity="incomplete")
        axes = "order group component layer place quantity"
        for quantity, table in (("target", whole[whole.asked == "target"]), ("bound", bound)):
            rows = table[table.place.isin([*PLACES, REST])]
            add_means(found, rows, axes, "effect", "nat", seed, quantity=quantity)
        return Measured(
            estimates=found,
            tests=[
                test
                for (order, group), part in bound.groupby(["order", "group"], sort=False)
                for test in discoveries(
                    part[part.place.isin(PLACES)], floor, f"{NAME}.{order}.{group}"
                )
            ],
        )


def fewer(facts: FactSet, most: int, seed: int) -> FactSet:
    """`most` facts of each group, and what is asked about them."""
    kept: set[str] = set()
    for group in groups_of(facts.queries):
        ids = [fact.id for fact in facts.facts if fact.group == group]
        kept |= set(generator(seed, group).sample(ids, min(most, len(ids))))
    return replace(
        facts,
        facts=[fact for fact in facts.facts if fact.id in kept],
        queries=[query for query in facts.queries if query.fact in kept],
    )


def attributed(model: Loaded, contrasts: Sequence[Contrast]) -> pd.DataFrame:
    """`by_span` of the targets and of the foils; `asked` says which."""
    layers = layers_of(model.model)
    frames = [
        by_span(integrated_gradients(model, some), layers).assign(asked=asked)
        for asked, some in (("target", contrasts), ("foil", [about_foil(one) for one in contrasts]))
    ]
    return pd.concat(frames, ignore_index=True)


def bound_of(table: pd.DataFrame) -> pd.DataFrame:
    """What a prompt's target has more than the foil after the same prompt: `effect` [nat].

    Both facts of a pair are asked about, so that what makes a target likely after any prompt, or
    any target after a prompt, drops out of the pair's mean.
    """
    keys = ["pair", "site", "layer", "place"]
    right = table[table.asked == "target"].set_index(keys)
    foil = table[table.asked == "foil"].set_index(keys).effect.reindex(right.index)
    found = right.reset_index()
    found["effect"] = (right.effect - foil).to_numpy()
    return found


def floor_of(table: pd.DataFrame) -> float:
    """What the quadrature may leave of a mean over prompts, target and foil together [nat]."""
    once = table.drop_duplicates(["pair", "asked", "site", "layer"])
    left = once.completeness.abs().groupby([once["site"], once.layer, once.asked]).mean()
    return float(left.groupby(["site", "layer"]).sum().max())


def incomplete(table: pd.DataFrame, seed: int) -> Estimate:
    """The share of prompts and layers whose sum the quadrature did not reach."""
    once = table.drop_duplicates(["pair", "asked", "site", "layer"])
    short = once.assign(short=~once.complete.astype(bool))
    return mean_of_facts(short, "short", "fraction", seed=derive_seed(seed, "incomplete"))
