"""Contrasts between facts that a model has learnt: what most tools look at."""

from collections.abc import Sequence

import pandas as pd

from interp_rc.evaluation.learnt import learnt_facts
from interp_rc.evaluation.queries import template_halves
from interp_rc.facts.contrasts import contrasts_about, partners, swapped
from interp_rc.facts.factset import FactSet
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import GROUPS, ORDERS, Contrast


def check_asked(facts: FactSet, templates: int, measure: str) -> None:
    """Raises DataError unless some templates can select facts and others measure them."""
    for order, (selecting, measuring) in template_halves(facts.queries).items():
        if not selecting or len(measuring) < templates:
            raise DataError(
                f"measure {measure} selects learnt facts on half of the held-out templates of an "
                f"order and needs {templates} in the other half; {order} order has "
                f"{len(selecting) + len(measuring)} in all: ask in more, or leave it out"
            )
        for template in (*selecting, *measuring[:templates]):
            asked = {q.fact for q in facts.queries if q.template == template}
            missing = [fact.id for fact in facts.facts if fact.id not in asked]
            if missing:
                raise DataError(
                    f"measure {measure} needs every fact asked in every template; {missing[0]} "
                    f"is not asked in {template}: ask it, or leave the measure out"
                )


def learnt_contrasts(
    facts: FactSet, answers: pd.DataFrame, templates: int, seed: int
) -> list[Contrast]:
    """Learnt facts, each against another of its group in the same template, in the first
    `templates` measuring templates of both orders."""
    group_of = {fact.id: fact.group for fact in facts.facts}
    halves = template_halves(facts.queries)
    contrasts = []
    for order in ORDERS:
        learnt = learnt_facts(answers, facts.queries, order)
        partner: dict[str, str] = {}
        for group in GROUPS:
            partner |= partners([f for f in learnt if group_of[f] == group], seed)
        measured = halves[order][1][:templates]
        contrasts += contrasts_about([q for q in facts.queries if q.template in measured], partner)
    return contrasts


def with_conditions(table: pd.DataFrame, contrasts: Sequence[Contrast]) -> pd.DataFrame:
    """With the `group` of each row's fact, and the `template` its `pair` is asked in."""
    group_of = {contrast.id: contrast.group for contrast in contrasts}
    template_of = {contrast.id: contrast.template for contrast in contrasts}
    return table.assign(group=table.pair.map(group_of), template=table.pair.map(template_of))


def paired(contrasts: Sequence[Contrast]) -> list[Contrast]:
    """Of facts in a circle, each against the next, every second contrast and the same the other way
    round: no fact is in two pairs, so that pairs are independent. All of a pair have the same
    `fact`, the first of the two."""
    found = []
    for order in ORDERS:
        mine = [c for c in contrasts if c.order == order]
        partner = {c.fact: c.partner for c in mine if c.partner is not None}
        chosen: set[str] = set()
        used: set[str] = set()
        for fact in partner:
            while not {fact, partner[fact]} & used:
                chosen.add(fact)
                used |= {fact, partner[fact]}
                fact = partner[partner[fact]]
        found += [c for c in mine if c.fact in chosen]
    return [*found, *swapped(found)]
