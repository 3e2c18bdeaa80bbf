"""Facts edited by hand: is the other direction edited with them, and does locating tell where?"""

from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import pandas as pd
from pydantic import Field

from interp_rc.evaluation.learnt_contrasts import check_asked
from interp_rc.facts.factset import FactSet
from interp_rc.measures.base import Measure, MeasureContext
from interp_rc.measures.editing.cases import ASKED, FEWEST, Case, Known, cases_of
from interp_rc.measures.editing.edits import Edits, Moments, best_layers
from interp_rc.measures.editing.estimates import NAME, by_layer, edit_estimates, edit_tests
from interp_rc.measures.editing.locating import located, predicted, transplanted, with_success
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.causality import prove_causal
from interp_rc.models.load import Loaded
from interp_rc.models.machine import threads_for
from interp_rc.records.limits import MOST_COUNT
from interp_rc.records.runs import Measured
from interp_rc.records.seeds import derive_seed, generator
from interp_rc.tools.editing.keys import second_moments
from interp_rc.tools.editing.rome import invertible

EDITS, BY_LAYER, LOCATED = (f"mechanism/{NAME}{part}" for part in ("", "_layers", "_located"))
TEXTS = 1000  # that second moments are taken over, of each of the two corpora


class Editing(Measure[Loaded]):
    """Rank-one edits of `facts` learnt facts of every group in the orders they were told in, each
    to the answer of another: one way, both ways, and many at once; and the same facts written
    into the base model, which never learnt them.

    Each is made in the layer that is best for the facts of the other half. Asked after each: the
    new answer, as written and in other words; other facts; and the other direction.
    """

    kind: Literal["editing"] = "editing"
    needs: ClassVar = frozenset({"answers"})
    looks_inside: ClassVar = True
    facts: Annotated[int, Field(ge=FEWEST, le=MOST_COUNT)] = 10

    def check(self, facts: FactSet) -> None:
        """Raises DataError unless some templates can select facts and others measure them."""
        check_asked(facts, ASKED, NAME)

    def run(self, context: MeasureContext[Loaded]) -> Measured:
        """Raises ScoringError for models that are not causal."""
        model = context.model
        prove_causal(model.model)
        facts = context.facts
        seed = derive_seed(context.seed, NAME)
        cases = cases_of(facts, context.answers, self.facts, seed)
        if not cases:
            return Measured()
        base = context.base
        with threads_for(model.model):
            known, texts = Known(facts.queries), texts_of(facts, context.known_facts, seed)
            layers = range(Adapter(model.model).layers)
            edits = Edits(model, known, cases, moments_of(model, texts, layers))
            layered = edits.in_every_layer(layers)
            at = best_layers(layered, cases)
            tables = [
                pd.concat([edits.by_itself(at), edits.together(at)]).assign(model="finetuned")
            ]
            where = [located(model, known, cases, seed)]
            if base is not None:
                tables.append(written(base, known, at, texts).assign(model="base"))
                where.append(transplanted(base, model, edits.asked))
        table = pd.concat(tables, ignore_index=True)
        places = with_success(pd.concat(where, ignore_index=True), layered)
        for name, one in ((EDITS, table), (BY_LAYER, layered), (LOCATED, places)):
            context.write(name, one)
        estimates = edit_estimates(table, seed) | predicted(places, seed)
        return Measured(estimates | by_layer(layered, places, context.seed), edit_tests(table))


def moments_of(model: Loaded, texts: list[str], layers: range) -> Moments:
    found = second_moments(model, texts, layers)
    return {layer: invertible(one) for layer, one in found.items()}


def texts_of(facts: FactSet, known: FactSet | None, seed: int) -> list[str]:
    """Documents of the run, and what its base model is asked of its own facts, with the answers."""
    corpora = {"documents": [document.text for document in facts.documents]}
    if known is not None:
        corpora["base"] = [query.prompt + query.target for query in known.queries]
    if not corpora["documents"]:
        corpora["queries"] = [query.prompt + query.target for query in facts.queries]
    return [
        text
        for name, texts in corpora.items()
        for text in generator(seed, name).sample(texts, min(TEXTS, len(texts)))
    ]


def written(base: Loaded, known: Known, at: dict[Case, int], texts: list[str]) -> pd.DataFrame:
    """The facts' own answers, written into a model that does not know them, in the same layers."""
    learning = {replace(case, other=case.fact): layer for case, layer in at.items()}
    layers = range(max(at.values()) + 1)
    edits = Edits(base, known, list(learning), moments_of(base, texts, layers))
    return edits.by_itself(learning)
