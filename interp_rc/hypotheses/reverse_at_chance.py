"""Claim: trained on one order, the model knows nothing of the other; its reverse is at chance.

Prediction: asked in reverse, the right target is no more likely than the other candidates once
each candidate's prior is taken off. Control: the same measurement in the same order must find
the fact, and could fail to if nothing had been learnt.
"""

from dataclasses import replace
from typing import Annotated, Literal, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from pydantic import Field

from interp_rc.evaluation.behaviour import (
    CANDIDATES,
    cells,
    correct,
    corrected_scores,
    others,
)
from interp_rc.evaluation.candidates import score_tensor
from interp_rc.facts.factset import FactSet
from interp_rc.facts.folder import read_facts
from interp_rc.models.load import Loaded
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import Query
from interp_rc.records.numbers import Estimate, Test, Verdict
from interp_rc.records.options import Options
from interp_rc.records.runs import Measured, Run, evaluated
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.candidates import label_permutation
from interp_rc.stats.correction import holm
from interp_rc.stats.differences import paired_t, sign_flip
from interp_rc.stats.distributions import two_sample_ks
from interp_rc.stats.equivalence import non_superiority
from interp_rc.stats.intervals import bootstrap_mean

MARGIN_SHARE = 0.05
ALPHA = 0.05
NAME = "reverse_at_chance"

# Names are asked for in backward order: the reverse of the first subset is the same of the second.
ASKED_ALIKE = {
    "name_to_description.reverse": "description_to_name.same",
    "description_to_name.reverse": "name_to_description.same",
}

PerFact = Float[np.ndarray, " fact"]


class Cell(NamedTuple):
    """Per fact: prior-corrected nats of the right candidate, of the others' mean and of one other
    (the next fact's, and facts are in random order), and the raw gain of the right one."""

    correct: PerFact
    others: PerFact
    one_other: PerFact
    gain: PerFact


class _Reverse(NamedTuple):
    """What one kind of reverse question gave, before correction over kinds."""

    below: Test
    choice: Test
    further: list[Test]
    control: Estimate
    estimates: dict[str, Estimate]


class Margin(Options):
    """Nats, by the kind of entity that is asked for."""

    name: Annotated[float, Field(gt=0)]
    description: Annotated[float, Field(gt=0)]


class ReverseAtChance(Options):
    """`margin` in nats by asked-for entity, fixed beforehand; None takes it from this run.

    The margin is 5 % of the same-order gain over the base model where the same kind of entity is
    asked for in the same templates. Taken from the run itself, the result is exploratory.
    """

    kind: Literal["reverse_at_chance"] = "reverse_at_chance"
    margin: Margin | None = None

    def check(self, facts: FactSet) -> None:
        """Raises DataError unless facts of both one-order subsets are asked in both orders."""
        there = {cell.name for cell in cells(facts.queries)}
        missing = sorted({*ASKED_ALIKE, *ASKED_ALIKE.values()} - there)
        if missing:
            raise DataError(
                f"measure {NAME} needs facts told in one order of each kind, asked in both orders; "
                f"there are no queries for {', '.join(missing)}: leave it out of `measures`"
            )

    def run(self, run: Run, model: Loaded) -> Measured:
        table = run.table(CANDIDATES)
        asked = {cell.name: cell.queries for cell in cells(read_facts(run.facts).queries)}
        seed = derive_seed(run.config()["seed"], NAME)
        reverse = list(ASKED_ALIKE)
        found = [self._reverse(table, asked, name, derive_seed(seed, name)) for name in reverse]
        below = holm([one.below for one in found])
        choice = holm([one.choice for one in found])
        controls = {ASKED_ALIKE[n]: one.control for n, one in zip(reverse, found, strict=True)}
        return Measured(
            estimates={k: v for one in found for k, v in one.estimates.items()},
            tests=[*below, *choice, *(test for one in found for test in one.further)],
            verdicts=[verdict(below, choice, controls, exploratory=self.margin is None)],
        )

    def _reverse(
        self, table: pd.DataFrame, asked: dict[str, list[Query]], name: str, seed: int
    ) -> "_Reverse":
        cell, control = _cell(table, asked[name]), _cell(table, asked[ASKED_ALIKE[name]])
        margin = self._margin(name, control)
        full = f"{NAME}.{name}"
        scores = score_tensor(evaluated(table), asked[name], "log_prob")
        choice, chance = label_permutation([scores], name=f"{full}.candidate_accuracy", seed=seed)
        return _Reverse(
            below=_below(cell.correct - cell.others, margin, f"{full}.nats"),
            choice=choice,
            further=_further(cell, full, seed),
            control=bootstrap_mean(control.correct - control.others, "nat", seed=seed),
            estimates={
                f"{full}.margin": Estimate(margin, None, None, len(control.gain), "nat"),
                f"{full}.chance": Estimate(chance, None, None, len(scores), "fraction"),
            },
        )

    def _margin(self, name: str, control: Cell) -> float | None:
        """None if nothing was gained in the same order: there is no scale to judge by."""
        if self.margin is not None:
            return self.margin.name if name.startswith("name_") else self.margin.description
        gain = float(control.gain.mean())
        return MARGIN_SHARE * gain if gain > 0 else None


def _below(difference: PerFact, margin: float | None, name: str) -> Test:
    if margin is None:
        return Test(name, "non-superiority t", None, None, None, None, None, len(difference))
    return non_superiority(difference, margin, name=name)


def _cell(table: pd.DataFrame, queries: list[Query]) -> Cell:
    corrected = corrected_scores(table, queries)
    assert corrected is not None
    raw = {
        model: correct(score_tensor(table[table.model == model], queries, "log_prob"))
        for model in ("base", "finetuned")
    }
    return Cell(
        correct(corrected),
        others(corrected),
        correct(np.roll(corrected, -1, axis=2)),
        raw["finetuned"] - raw["base"],
    )


def _further(cell: Cell, name: str, seed: int) -> list[Test]:
    """The paper's tests (t and KS, here on facts instead of prompts) and an exact one."""
    return [
        paired_t(cell.correct, cell.others, name=f"{name}.t", alternative="greater"),
        sign_flip(
            cell.correct - cell.others,
            name=f"{name}.sign_flip",
            seed=seed,
            alternative="greater",
        ),
        # Against one other candidate a fact: a mean of many has another spread, which KS would
        # see. Both samples are of the same facts: n counts those, not both samples together.
        replace(two_sample_ks(cell.correct, cell.one_other, name=f"{name}.ks"), n=len(cell.gain)),
    ]


def verdict(
    superiority: list[Test],
    permutations: list[Test],
    controls: dict[str, Estimate],
    *,
    exploratory: bool,
) -> Verdict:
    """Supported only if every reverse is below its margin and the control found every fact set."""
    found = all(c.low is not None and c.low > 0 for c in controls.values())
    control = "prior-corrected advantage of the right target in the same order: " + "; ".join(
        f"{name.removesuffix('.same').replace('_', ' ')} {estimate.text(1)}"
        for name, estimate in controls.items()
    )
    # A test that could not be made counts as one that did not reject.
    p_below = max(1.0 if t.p_adjusted is None else t.p_adjusted for t in superiority)
    p_choice = min(1.0 if t.p_adjusted is None else t.p_adjusted for t in permutations)
    told = (
        f"reverse gain below the margin: p = {p_below:.2g} (largest, Holm); "
        f"right candidate chosen above chance: p = {p_choice:.2g} (smallest, Holm)"
    )
    if exploratory:
        told += "; exploratory, as the margin was taken from this run"
    if not found:
        return Verdict(NAME, "inconclusive", f"the facts were not learnt; {told}", control)
    if p_below < ALPHA and p_choice >= ALPHA:
        return Verdict(NAME, "supported", told, control)
    if p_choice < ALPHA and p_below >= ALPHA:
        return Verdict(NAME, "refuted", told, control)
    return Verdict(NAME, "inconclusive", told, control)
