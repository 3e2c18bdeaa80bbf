"""Claim: trained on one order, the model knows nothing of the other; its reverse is at chance.

Prediction: asked in reverse, the right target is no more likely than the other candidates once
each candidate's prior is taken off. Control: the same measurement in the same order must find
the fact, and could fail to if nothing had been learnt. A model told both orders refutes it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import factorial
from typing import Annotated, ClassVar, Literal, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from pydantic import Field

from interp_rc.evaluation.candidate_scores import correct, corrected_scores, others
from interp_rc.evaluation.candidates import score_tensor
from interp_rc.evaluation.cells import Asked, cells
from interp_rc.facts.factset import FactSet
from interp_rc.measures.base import CANDIDATES, Measure, MeasureContext
from interp_rc.models.load import Loaded
from interp_rc.records.errors import DataError
from interp_rc.records.estimates import Estimates
from interp_rc.records.nouns import Query
from interp_rc.records.numbers import Estimate, Test, Verdict
from interp_rc.records.options import Options
from interp_rc.records.runs import Measured, evaluated
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.candidates import label_permutation
from interp_rc.stats.correction import holm
from interp_rc.stats.differences import paired_t, sign_flip
from interp_rc.stats.distributions import two_sample_ks
from interp_rc.stats.equivalence import non_superiority, superiority
from interp_rc.stats.intervals import bootstrap_mean
from interp_rc.stats.margins import ALPHA, LARGEST_SHARE, judges, margin_of

NAME = "reverse_at_chance"

# Names are asked for in backward order: the reverse of the first group is the same of the second.
ASKED_ALIKE = {
    "trained_forward.reverse": "trained_backward.same",
    "trained_backward.reverse": "trained_forward.same",
}

PerFact = Float[np.ndarray, " fact"]


class Cell(NamedTuple):
    """Per fact: prior-corrected nats of the right candidate, of the others' mean and of one other
    (the next fact's, and facts are in random order)."""

    correct: PerFact
    others: PerFact
    one_other: PerFact

    @property
    def advantage(self) -> PerFact:
        """What is tested, and what margins are taken from."""
        return self.correct - self.others


class _Reverse(NamedTuple):
    """What one kind of reverse question gave, before correction over kinds."""

    below: Test
    above: Test
    choice: Test
    further: list[Test]
    control: Estimate
    judged: bool
    estimates: Estimates


class Margin(Options):
    """Nats of prior-corrected advantage over other candidates, by what is asked for."""

    name: Annotated[float, Field(gt=0)]
    description: Annotated[float, Field(gt=0)]


class ReverseAtChance(Measure[Loaded]):
    """`margin` in nats by asked-for entity, fixed beforehand; None takes it from this run.

    The margin is 5 % of the right target's prior-corrected advantage over other candidates in the
    trained order, where the same kind of entity is asked for in the same templates: the unit that
    is tested. Taken from the run itself, the result is exploratory. A margin above a tenth of the
    lower limit of that advantage judges nothing.
    """

    kind: Literal["reverse_at_chance"] = "reverse_at_chance"
    needs: ClassVar = frozenset({"training", "answers"})
    margin: Margin | None = None

    def check(self, facts: FactSet) -> None:
        """Raises DataError unless facts of both one-order groups are asked in both orders."""
        there = {asked.name for asked in cells(facts.queries)}
        missing = sorted({*ASKED_ALIKE, *ASKED_ALIKE.values()} - there)
        if missing:
            raise DataError(
                f"measure {NAME} needs facts told in one order of each kind, asked in both orders; "
                f"there are no queries for {', '.join(missing)}: leave it out of `measures`"
            )

    def run(self, context: MeasureContext[Loaded]) -> Measured:
        table = context.table(CANDIDATES)
        asked = {one.name: one for one in cells(context.facts.queries)}
        seed = derive_seed(context.seed, NAME)
        found = [
            self._reverse(table, asked[name], asked[alike], derive_seed(seed, name))
            for name, alike in ASKED_ALIKE.items()
        ]
        below, above, choice = (
            holm([getattr(one, tested) for one in found]) for tested in ("below", "above", "choice")
        )
        controls = {
            asked[alike].group: one.control
            for alike, one in zip(ASKED_ALIKE.values(), found, strict=True)
        }
        return Measured(
            found[0].estimates | found[1].estimates,
            tests=[*below, *above, *choice, *(test for one in found for test in one.further)],
            verdicts=[
                verdict(
                    below,
                    above,
                    choice,
                    controls,
                    judged=all(one.judged for one in found),
                    exploratory=self.margin is None,
                )
            ],
        )

    def _reverse(self, table: pd.DataFrame, asked: Asked, alike: Asked, seed: int) -> "_Reverse":
        cell, control = _cell(table, asked.queries), _cell(table, alike.queries)
        margin = self._margin(asked.group, control)
        shown = bootstrap_mean(control.advantage, "nat", seed=seed)
        estimates = Estimates(NAME)
        full = estimates.name(**asked.of)
        scores = score_tensor(evaluated(table), asked.queries, "log_prob")
        choice, chance = label_permutation([scores], name=f"{full}.candidate_accuracy", seed=seed)
        learnt = Estimate(margin, None, None, len(control.advantage), "nat")
        estimates.add(learnt, **asked.of, quantity="margin")
        blind = Estimate(chance, None, None, len(scores), "fraction")
        estimates.add(blind, **asked.of, quantity="chance")
        return _Reverse(
            below=_against(non_superiority, cell.advantage, margin, f"{full}.nats"),
            above=_against(superiority, cell.advantage, margin, f"{full}.nats_above"),
            choice=choice,
            further=_further(cell, full, seed),
            control=shown,
            judged=judges(margin, shown),
            estimates=estimates,
        )

    def _margin(self, group: str, control: Cell) -> float | None:
        """None if nothing was learnt in the same order: there is no scale to judge by."""
        if self.margin is not None:
            asks_name = group == "trained_forward"
            return self.margin.name if asks_name else self.margin.description
        return margin_of(control.advantage)


def _against(
    test: Callable[..., Test], advantage: PerFact, margin: float | None, name: str
) -> Test:
    if margin is None:
        return Test(name, "no margin", None, None, None, None, None, len(advantage))
    return test(advantage, margin, name=name)


def _cell(table: pd.DataFrame, queries: list[Query]) -> Cell:
    corrected = corrected_scores(table, queries)
    assert corrected is not None
    return Cell(correct(corrected), others(corrected), correct(np.roll(corrected, -1, axis=2)))


def _further(cell: Cell, name: str, seed: int) -> list[Test]:
    """The paper's tests (t and KS, here on facts instead of prompts) and an exact one."""
    return [
        paired_t(cell.correct, cell.others, name=f"{name}.t", alternative="greater"),
        sign_flip(
            cell.advantage,
            name=f"{name}.sign_flip",
            seed=seed,
            alternative="greater",
        ),
        # Against one other candidate a fact: a mean of many has another spread, which KS would
        # see. Both samples are of the same facts: n counts those, not both samples together.
        replace(
            two_sample_ks(cell.correct, cell.one_other, name=f"{name}.ks"), n=len(cell.advantage)
        ),
    ]


def verdict(
    below: Sequence[Test],
    above: Sequence[Test],
    choice: Sequence[Test],
    controls: Mapping[str, Estimate],
    *,
    judged: bool,
    exploratory: bool,
) -> Verdict:
    """Supported only if every reverse is below its margin and none chosen above chance, where facts
    enough could have shown that; refuted if one is above it; and neither unless the control found
    every fact set and gives the scale."""
    learnt = all(c.low is not None and c.low > 0 for c in controls.values())
    control = "prior-corrected advantage of the right target in the same order: " + "; ".join(
        f"{group.replace('_', ' ')} {estimate.text(1)}" for group, estimate in controls.items()
    )
    p_below = max(map(_p, below))
    p_above, p_choice = (min(map(_p, tests)) for tests in (above, choice))
    told = (
        f"reverse advantage below the margin: p = {p_below:.2g} (largest, Holm); "
        f"above it: p = {p_above:.2g} (smallest, Holm); "
        f"right candidate chosen above chance: p = {p_choice:.2g} (smallest, Holm)"
    )
    if exploratory:
        told += "; exploratory, as the margin was taken from this run"
    if not learnt:
        return Verdict(NAME, "inconclusive", f"the facts were not learnt; {told}", control)
    if not judged:
        wide = f"the margin exceeds {100 * LARGEST_SHARE:.0f} % of the control’s lower limit"
        return Verdict(NAME, "inconclusive", f"{wide}; {told}", control)
    if p_above < ALPHA:
        return Verdict(NAME, "refuted", told, control)
    if not all(_can_reject(test, len(choice)) for test in choice):
        few = f"{min(test.n for test in choice)} facts are too few to be chosen above chance"
        return Verdict(NAME, "inconclusive", f"{few}; {told}", control)
    if p_below < ALPHA and p_choice >= ALPHA:
        return Verdict(NAME, "supported", told, control)
    return Verdict(NAME, "inconclusive", told, control)


def _can_reject(choice: Test, tests: int) -> bool:
    """Whether one order of the facts' labels among all is rare enough for Holm's first step: it is
    with five facts or more in each of two tests."""
    return tests / factorial(choice.n) < ALPHA


def _p(test: Test) -> float:
    """A test that could not be made counts as one that did not reject."""
    return 1.0 if test.p_adjusted is None else test.p_adjusted
