"""Weight transplants between base and finetuned model: which weights carry the facts?"""

from collections.abc import Sequence
from typing import ClassVar, Literal

import pandas as pd
from threadpoolctl import threadpool_limits

from interp_rc.evaluation.learnt_contrasts import check_asked, learnt_contrasts
from interp_rc.facts.factset import FactSet
from interp_rc.measures.base import Measure, MeasureContext
from interp_rc.measures.transplant.asking import Asking, paired_anew
from interp_rc.measures.transplant.by_rank import neuron_effects, rank_effects
from interp_rc.measures.transplant.estimates import (
    NAME,
    NEURONS,
    RANKS,
    SETS,
    SINGLE,
    SITES,
    SPECTRA,
    curves,
    transplant_estimates,
    transplant_tests,
)
from interp_rc.measures.transplant.low_rank import Differences
from interp_rc.measures.transplant.pair import Pair, Whole, changed, pair_of
from interp_rc.measures.transplant.sets import sets_of_sites
from interp_rc.measures.transplant.single import single_effects
from interp_rc.models.load import Loaded
from interp_rc.models.machine import threads_for
from interp_rc.records.nouns import ORDERS, TOLD_IN, TOLD_ONLY, Contrast, Order
from interp_rc.records.runs import Measured
from interp_rc.records.seeds import derive_seed, generator
from interp_rc.tools.weights.sites import matrices, units

TEMPLATES = 2  # of an order: the second is the paraphrase
FEWEST = 4  # learnt facts: two to choose on, two to measure on


class Transplant(Measure[Loaded]):
    """Weights of the finetuned model put into the base, and of the base into the finetuned one.

    One site at a time in both; the fewest that carry the facts told in one order, chosen on half of
    them and measured on the other half, beside sets at random; the differences' singular
    directions; and single neurons. What is put in is judged by what the model says of a fact more
    than after another fact's prompt, what is taken by the lead of its answer over another one. Of a
    LoRA adapter, which is not merged, the first two.
    """

    kind: Literal["transplant"] = "transplant"
    needs: ClassVar = frozenset({"base", "answers"})
    looks_inside: ClassVar = True

    def check(self, facts: FactSet) -> None:
        """Raises DataError unless some templates can select facts and others measure them."""
        check_asked(facts, TEMPLATES, NAME)

    def run(self, context: MeasureContext[Loaded]) -> Measured:
        model = context.model
        facts, seed = context.facts, derive_seed(context.seed, self.kind)
        contrasts = in_turn(facts, context.answers, seed)
        pair = pair_of(context.base, model)
        with threads_for(model.model), threadpool_limits(1, user_api="blas"):
            tables = transplants(pair, model, contrasts, seed)
        for name, table in tables.items():
            context.write(name, table)
        estimates = transplant_estimates(tables, seed) | curves(tables, context.seed)
        return Measured(estimates, transplant_tests(tables))


def in_turn(facts: FactSet, answers: pd.DataFrame, seed: int) -> list[Contrast]:
    """Learnt facts in the first measuring templates of both orders, template by template, each
    against the next of its group."""
    templates = list(dict.fromkeys(query.template for query in facts.queries))

    def place(one: Contrast) -> tuple[int, int]:
        return ORDERS.index(one.order or "forward"), templates.index(str(one.template))

    return paired_anew(sorted(learnt_contrasts(facts, answers, TEMPLATES, seed), key=place))


def transplants(
    pair: Pair, loaded: Loaded, contrasts: Sequence[Contrast], seed: int
) -> dict[str, pd.DataFrame]:
    """The tables of the measure, those that there is something to write in."""
    first = in_first_template(contrasts)
    tables = {}
    if first:
        tables[SINGLE] = singles(pair, loaded, first)
    sets: list[pd.DataFrame] = []
    sites: list[pd.DataFrame] = []
    for order, group in TOLD_ONLY.items():
        mine = [one for one in contrasts if one.group == group]
        chosen, measured = halves(mine, derive_seed(seed, order))
        if len(chosen) + len(measured) < FEWEST:
            continue
        told = [q for q in first if q.fact in chosen and q.group == group and q.order == order]
        rest = [q for q in mine if q.fact in measured]
        table, named = sets_of_sites(
            pair, Asking(loaded, paired_anew(told)), Asking(loaded, paired_anew(rest)), seed
        )
        sets.append(table.assign(told=order, asked=asked_as(table, first, order)))
        sites.append(named.assign(told=order))
    if sets:
        tables |= {SETS: pd.concat(sets), SITES: pd.concat(sites)}
    if isinstance(pair, Whole):
        tables |= whole_models(pair, loaded, first, seed)
    return {name: table.reset_index(drop=True) for name, table in tables.items()}


def in_first_template(contrasts: Sequence[Contrast]) -> list[Contrast]:
    """Of each fact and order the first contrast."""
    found: dict[tuple[str, Order | None], Contrast] = {}
    for one in contrasts:
        found.setdefault((one.fact, one.order), one)
    return list(found.values())


def halves(contrasts: Sequence[Contrast], seed: int) -> tuple[set[str], set[str]]:
    """Facts to choose on, and as many, or one fewer, to measure on."""
    facts = list(dict.fromkeys(one.fact for one in contrasts))
    drawn = generator(seed, "halves").sample(facts, len(facts))
    half = (len(facts) + 1) // 2
    return set(drawn[:half]), set(drawn[half:])


def asked_as(table: pd.DataFrame, first: Sequence[Contrast], order: Order) -> list[str]:
    """`told` and `paraphrase` in the order of the telling, `reverse` in the other."""
    in_first = {one.query for one in first}
    return [
        "reverse" if asked != order else "told" if query in in_first else "paraphrase"
        for query, asked in zip(table["query"], table.order, strict=True)
    ]


def singles(pair: Pair, loaded: Loaded, first: Sequence[Contrast]) -> pd.DataFrame:
    """Whole attentions, MLPs and what is outside for all facts, single matrices for those told in
    one order."""
    adapter = pair.adapter("given")
    one_order = [q for q in first if q.group is not None and TOLD_IN[q.group] is not None]
    asking = Asking(loaded, first, leads=True)
    frames = [single_effects(pair, changed(pair, units(adapter)), asking)]
    if one_order:
        some = changed(pair, matrices(adapter))
        frames.append(single_effects(pair, some, Asking(loaded, one_order, leads=True)))
    return pd.concat(frames)


def whole_models(
    pair: Whole, loaded: Loaded, first: Sequence[Contrast], seed: int
) -> dict[str, pd.DataFrame]:
    """Ranks and neurons: of facts told in one order, half to choose on."""
    one_order = [q for q in first if q.group is not None and TOLD_IN[q.group] is not None]
    chosen, measured = halves(one_order, derive_seed(seed, "one order"))
    if len(chosen) + len(measured) < FEWEST:
        return {}
    everything = units(pair.adapter("given"))
    asking = Asking(loaded, paired_anew([q for q in one_order if q.fact in measured]))
    told = paired_anew([q for q in one_order if q.fact in chosen and q.direction == "same"])
    return {
        RANKS: rank_effects(pair, everything, asking, seed),
        SPECTRA: Differences(pair, everything).spectra(),
        NEURONS: neuron_effects(pair, told, asking, seed),
    }
