"""Which facts a model has learnt, judged on templates that nothing else is measured on."""

from collections.abc import Sequence

import pandas as pd

from interp_rc.evaluation.queries import template_halves
from interp_rc.records.nouns import TOLD_IN, Order, Query
from interp_rc.records.runs import evaluated

SHARE = 0.5  # of the selecting templates in which the fact must be said


def learnt_facts(answers: pd.DataFrame, queries: Sequence[Query], order: Order) -> list[str]:
    """Facts that the model says in the order they were told in (`both`: in `order`).

    A fact told in the other order is judged by that order: to judge it by this one would select
    on what is to be measured.
    """
    halves = template_halves(queries)
    right = evaluated(answers).set_index("query").match
    asked: dict[str, list[bool]] = {}
    for query in queries:
        told = TOLD_IN[query.group] or order
        if query.order == told and query.template in halves[told][0]:
            asked.setdefault(query.fact, []).append(bool(right[query.id]))
    return [fact for fact, said in asked.items() if sum(said) >= SHARE * len(said)]
