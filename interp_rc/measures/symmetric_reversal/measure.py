"""Claim: told a fact in one order, a model says it in the other where the relation lets it.

Prediction: asked in reverse, the right entity is preferred in a symmetric relation (asked in its
own words) and in one with an inverse (asked in the inverse's), more than in an antisymmetric one
(asked in its own words), where what is asked for would be false. A model that reverses what is
false as well as what is right refutes it, and so does one that reverses neither. Controls: all
three must be known in the order they were told in, and facts told in both orders in reverse.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from interp_rc.evaluation.cells import cells
from interp_rc.facts.factset import FactSet
from interp_rc.measures.base import CANDIDATES, Measure, MeasureContext
from interp_rc.measures.symmetric_reversal.relation_cells import Cell, relation_cell
from interp_rc.measures.symmetric_reversal.reversal_judged import reversal_judged, reversed_pairs
from interp_rc.models.load import Loaded
from interp_rc.records.errors import DataError
from interp_rc.records.estimates import Estimates, cell
from interp_rc.records.nouns import Fact
from interp_rc.records.numbers import Estimate, Test, Verdict
from interp_rc.records.runs import Measured
from interp_rc.records.seeds import derive_seed
from interp_rc.stats.candidates import label_permutation
from interp_rc.stats.correction import holm
from interp_rc.stats.differences import paired_t
from interp_rc.stats.intervals import over_facts
from interp_rc.stats.margins import ALPHA, judges, margin_of
from interp_rc.stats.means import add_mean
from interp_rc.stats.two_samples import (
    difference_of_means,
    two_sample_non_superiority,
    two_sample_permutation,
)

NAME = "symmetric_reversal"
HALF = 0.5
POINTS = "percentage points"
RIGHT = ("symmetric", "inverse")
WRONG = "antisymmetric"
ASKED = {"symmetric": "reverse", "inverse": "reverse", WRONG: "false_reverse"}
"""How each kind is asked in the order that it was not told in."""
BOTH = (("symmetric_both", "backward"), ("inverse_both", "backward"))
NEEDED = [(kind, asked) for kind, reverse in ASKED.items() for asked in ("same", reverse)]
LESS_WRONG = {kind: f"{kind}_less_{WRONG}" for kind in RIGHT}
"""What is right in reverse, less what is false."""
Found = Mapping[tuple[str, str], Cell]
"""By kind, and how it was asked."""


class SymmetricReversal(Measure[Loaded]):
    """`margin` in nats, fixed beforehand: reversed "no more" means by less than that.

    None takes 5 % of the prior-corrected advantage over other candidates (the unit that is tested)
    that the three kinds have in the order they were told in, from this run itself: the verdict is
    then exploratory. Above a tenth of the lower limit of one of them, a margin judges nothing.
    """

    kind: Literal["symmetric_reversal"] = "symmetric_reversal"
    needs: ClassVar = frozenset({"training", "answers"})
    margin: Annotated[float, Field(gt=0)] | None = None

    def check(self, facts: FactSet) -> None:
        """Raises DataError unless facts of all three kinds are asked in both orders."""
        there = {(asked.group, asked.asked) for asked in cells(facts.queries)}
        missing = [".".join(key) for key in NEEDED if key not in there]
        if missing:
            raise DataError(
                f"measure {NAME} needs facts of symmetric, inverse and antisymmetric relations; "
                f"there are no queries for {', '.join(missing)}: use facts of kind relations"
            )

    def run(self, context: MeasureContext[Loaded]) -> Measured:
        facts = context.facts
        seed = derive_seed(context.seed, NAME)
        answers, candidates = context.answers, context.table(CANDIDATES)
        found = {
            key: relation_cell(answers, candidates, asked.queries)
            for asked in cells(facts.queries)
            if (key := (asked.group, asked.asked)) in (*NEEDED, *BOTH)
        }
        margin = self.margin or _margin(found)
        told = sum(len(found[kind, "same"].nats) for kind in ASKED)
        chosen, estimates = _against_chance(found, seed)
        more, below = _tests(found, margin, seed)
        false = _false_reversal(found)
        _add_differences(estimates, found, seed)
        _add_judged(estimates, context.base, facts.facts, seed)
        estimates.add(Estimate(margin, None, None, told, "nat"), quantity="margin")
        controls = {
            key: over_facts(estimates.name(**cell(*key)), one.nats, "nat", seed)
            for key, one in found.items()
            if key in BOTH or key[1] == "same"
        }
        return Measured(
            estimates=estimates,
            tests=[*more, *below, false, *chosen],
            verdicts=[
                verdict(
                    more,
                    below,
                    false,
                    controls,
                    judged=all(judges(margin, controls[kind, "same"]) for kind in ASKED),
                    exploratory=self.margin is None,
                )
            ],
        )


def _add_judged(
    estimates: Estimates, base: Loaded | None, facts: Sequence[Fact], seed: int
) -> None:
    """How the base model judges the reverse of statements before its eyes, about entities that it
    never met: whether texts on relations taught it anything. n counts statements."""
    if base is None:
        return
    relation_of: dict[str, str] = {fact.group: fact.relation for fact in facts}
    for kind in ("symmetric", WRONG):
        of = {"group": kind, "quantity": "judged"}
        pairs = reversed_pairs(derive_seed(seed, estimates.name(**of)), relation_of[kind])
        add_mean(estimates, reversal_judged(base, pairs), "nat", seed, "bootstrap", **of)
    right, wrong = (estimates.of(group=k, quantity="judged") for k in ("symmetric", WRONG))
    apart = difference_of_means(right, wrong, unit="nat")
    estimates.add(apart, group=LESS_WRONG["symmetric"], quantity="judged")


def _margin(found: Found) -> float | None:
    """None if nothing was learnt where it was told: there is no scale to judge by."""
    return margin_of(np.array([found[kind, "same"].nats.mean() for kind in ASKED]))


def _reverse(found: Found, kind: str) -> Cell:
    return found[kind, ASKED[kind]]


def _against_chance(found: Found, seed: int) -> tuple[list[Test], Estimates]:
    """Is the entity of the fact chosen in reverse more often than blindly? True or false alike."""
    tests, chances = [], Estimates(NAME)
    for key in ASKED.items():
        name, scores = chances.name(**cell(*key)), found[key].scores
        test, chance = label_permutation(
            [scores], name=f"{name}.candidate_accuracy", seed=derive_seed(seed, name)
        )
        tests.append(test)
        blind = Estimate(chance, None, None, len(scores), "fraction")
        chances.add(blind, **cell(*key), quantity="chance")
    return holm(tests), chances


def _add_differences(estimates: Estimates, found: Found, seed: int) -> None:
    """What is right in reverse less what is false, each with its interval over facts."""
    quantities = (
        ("exact_match", "fraction", POINTS, 100.0),
        ("candidate_accuracy", "fraction", POINTS, 100.0),
        ("nats", "nat", "nat", 1.0),
    )
    for kind, group in LESS_WRONG.items():
        for quantity, unit, shown, scale in quantities:
            right, wrong = (
                over_facts(f"{NAME}.{k}", getattr(_reverse(found, k), quantity), unit, seed)
                for k in (kind, WRONG)
            )
            apart = difference_of_means(right, wrong, unit=shown, scale=scale)
            estimates.add(apart, group=group, quantity=quantity)


def _tests(found: Found, margin: float | None, seed: int) -> tuple[list[Test], list[Test]]:
    """Reversed more where that is right? And: by less than the margin? In nats."""
    more, below = [], []
    wrong = _reverse(found, WRONG).nats
    for kind, group in LESS_WRONG.items():
        right, name = _reverse(found, kind).nats, f"{NAME}.{group}"
        more.append(
            two_sample_permutation(
                right,
                wrong,
                name=f"{name}.more",
                seed=derive_seed(seed, name),
                alternative="greater",
            )
        )
        untested = Test(f"{name}.below_margin", "", None, None, None, None, None, len(right))
        below.append(
            untested
            if margin is None
            else two_sample_non_superiority(right, wrong, margin, name=untested.name)
        )
    return holm(more), holm(below)


def _false_reversal(found: Found) -> Test:
    """Is what is false in reverse preferred by more than half of what is true as it was told? Of
    the same antisymmetric facts, so that the words of their kind make no difference."""
    return paired_t(
        _reverse(found, WRONG).nats,
        HALF * found[WRONG, "same"].nats,
        name=f"{NAME}.{WRONG}.reversed_too",
        alternative="greater",
    )


def verdict(
    more: Sequence[Test],
    below: Sequence[Test],
    false: Test,
    controls: Mapping[tuple[str, str], Estimate],
    *,
    judged: bool,
    exploratory: bool,
) -> Verdict:
    """Supported if both right reverses stand out from the false one; refuted if neither does by the
    margin, or if the false one keeps more than half of what the trained order has; and only if
    every control found what it should."""
    # A test that could not be made counts as one that did not reject.
    p_more, p_below = (
        [1.0 if test.p_adjusted is None else test.p_adjusted for test in tests]
        for tests in (more, below)
    )
    told = "; ".join(
        f"{kind} against antisymmetric: more, p = {one:.2g}, by less than the margin, p = {two:.2g}"
        for kind, one, two in zip(RIGHT, p_more, p_below, strict=True)
    )
    p_false = 1.0 if false.p is None else false.p
    told += f" (Holm); false reversals above half of the trained order, p = {p_false:.2g}"
    if exploratory:
        told += "; exploratory, as the margin was taken from this run"
    control = "prior-corrected advantage of the right entity: " + "; ".join(
        f"{', '.join(key).replace('_', ' ')} {estimate.text(1)}"
        for key, estimate in controls.items()
    )
    lost = [key for key, one in controls.items() if one.low is None or one.low <= 0]
    if lost:
        names = ", ".join(" ".join(key).replace("_", " ") for key in lost)
        return Verdict(NAME, "inconclusive", f"the control failed for {names}; {told}", control)
    if p_false < ALPHA:
        return Verdict(NAME, "refuted", f"what is false is reversed too; {told}", control)
    if max(p_more) < ALPHA:
        return Verdict(NAME, "supported", told, control)
    if judged and max(p_below) < ALPHA:
        return Verdict(NAME, "refuted", told, control)
    return Verdict(NAME, "inconclusive", told, control)
