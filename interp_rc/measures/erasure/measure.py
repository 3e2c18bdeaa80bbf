"""Unlearn a fact in one order: does it survive in the other? One store or two."""

from typing import Annotated, ClassVar, Literal

import pandas as pd
from pydantic import Field

from interp_rc.evaluation.learnt import learnt_facts
from interp_rc.evaluation.learnt_contrasts import check_asked
from interp_rc.evaluation.queries import template_halves
from interp_rc.facts.factset import FactSet
from interp_rc.measures.base import Measure, MeasureContext
from interp_rc.measures.erasure.asking import FEWEST, Case, Templates, cases
from interp_rc.measures.erasure.damage import damage_table
from interp_rc.measures.erasure.estimates import NAME, erasure_estimates, erasure_tests, judge
from interp_rc.models.load import Loaded
from interp_rc.models.machine import threads_for
from interp_rc.records.errors import DataError
from interp_rc.records.limits import MOST_COUNT
from interp_rc.records.nouns import ORDERS, TOLD_IN, TOLD_ONLY
from interp_rc.records.runs import Measured
from interp_rc.records.seeds import derive_seed, generator

TABLE = f"mechanism/{NAME}"
ERASED_IN, ASKED_IN = 3, 2  # templates, of those that select facts and of those that measure
TEXTS = 400  # that keys of edits are compared with


class Erasure(Measure[Loaded]):
    """Facts told in both orders are erased in either, three ways, until their lead where they are
    erased has fallen by `share`; then both orders are asked, of them and of others.

    Up to `facts` of them, and half as many of those told in one order only, where the other has
    nothing to lose. A fact is erased in the templates that it was selected on.
    """

    kind: Literal["erasure"] = "erasure"
    needs: ClassVar = frozenset({"answers"})
    looks_inside: ClassVar = True
    share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    facts: Annotated[int, Field(ge=2, le=MOST_COUNT)] = 20

    def check(self, facts: FactSet) -> None:
        """Raises DataError unless enough facts are told in both orders, and all are asked in
        templates to select on and others to measure in."""
        there = sum(fact.group == "both" for fact in facts.facts)
        if there < FEWEST:
            raise DataError(
                f"measure {NAME} erases facts that were told in both orders, and needs {FEWEST}; "
                f"found {there}: tell more, or leave the measure out"
            )
        check_asked(facts, 1, NAME)

    def run(self, context: MeasureContext[Loaded]) -> Measured:
        """Nothing where too few facts were learnt in both orders."""
        model = context.model
        facts = context.facts
        seed = derive_seed(context.seed, NAME)
        by_group = self.cases_of(facts, context.answers, seed)
        if "both" not in by_group:
            return Measured()
        texts = [document.text for document in facts.documents]
        texts = texts or [query.prompt + query.target for query in facts.queries]
        some = generator(seed, "texts").sample(texts, min(TEXTS, len(texts)))
        with threads_for(model.model):
            frames = [
                damage_table(model, one, some, self.share).assign(group=group)
                for group, one in by_group.items()
            ]
        table = pd.concat(frames, ignore_index=True)
        context.write(TABLE, table)
        found = erasure_estimates(table, seed)
        return Measured(found, erasure_tests(table), judge(found))

    def cases_of(self, facts: FactSet, answers: pd.DataFrame, seed: int) -> dict[str, list[Case]]:
        """By group: learnt facts, erased in the orders they were told in."""
        templates: Templates = {
            order: (selecting[:ERASED_IN], measuring[:ASKED_IN])
            for order, (selecting, measuring) in template_halves(facts.queries).items()
        }
        learnt = {order: set(learnt_facts(answers, facts.queries, order)) for order in ORDERS}
        found: dict[str, list[Case]] = {}
        for group in ("both", *TOLD_ONLY.values()):
            told = ORDERS if TOLD_IN[group] is None else (TOLD_IN[group],)
            some = [
                fact.id
                for fact in facts.facts
                if fact.group == group and all(fact.id in learnt[o] for o in told if o)
            ]
            most = self.facts if group == "both" else self.facts // 2
            if len(some) >= FEWEST:
                found[group] = [
                    case
                    for order in told
                    if order
                    for case in cases(facts.queries, some, order, templates, seed, most)
                ]
        return found
