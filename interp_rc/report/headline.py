"""The answer in one sentence, with its intervals, and the picture that shows it."""

from collections.abc import Mapping, Sequence

from interp_rc.display.figures.rates import rates_figure
from interp_rc.display.rates import HARDLY, caption, described, rates_of
from interp_rc.display.section import Answer, Picture, Section, picture
from interp_rc.display.vocabulary import Words
from interp_rc.display.wording import spoken
from interp_rc.measures.base import ANSWERS
from interp_rc.records.nouns import ORDERS
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured, Run

NO_BEHAVIOUR = Answer(
    "This run looks at the model without asking how often it is right.",
    "To ask that, too, add `kind: behaviour` to the measures of its configuration.",
)
ASKS = ("behaviour", "exact_match")
"""The measures that ask all queries, and leave the same table of answers."""
MATCH = {"quantity": "exact_match"}


def asked_by(measured: Mapping[str, Measured]) -> Measured | None:
    """The measure of this run that asked the queries."""
    return next((measured[kind] for kind in ASKS if kind in measured), None)


def answer(run: Run, measured: Mapping[str, Measured], sections: Sequence[Section]) -> Answer:
    """The pooled rates in both directions over all facts told in one order, or what a section
    answers where no query was asked."""
    asked = asked_by(measured)
    if asked is None:
        return next((one.answer for one in sections if one.answer), NO_BEHAVIOUR)
    trained = bool((run.table(ANSWERS).model == "finetuned").any())
    rates = {
        direction: rate
        for direction in ("same", "reverse")
        if (rate := asked.estimates.find(**MATCH, group="pooled", direction=direction))
    }
    if "same" not in rates or "reverse" not in rates:
        return _one_sided(rates, asked)
    same, reverse = rates["same"], rates["reverse"]
    if not trained:
        return Answer(
            "Nothing was trained in this run. As it came, the model is right in "
            f"{spoken(same)} of cases when asked in the order in which the facts are listed, "
            f"and in {spoken(reverse)} when asked the other way round.",
            "Whether it has met these facts in one order only, this run does not know.",
        )
    numbers = (
        f"Asked in the order it was trained in, the model is right in {spoken(same)} of cases; "
        f"asked in reverse, in {spoken(reverse)}."
    )
    return Answer(numbers, meaning(same, reverse))


def meaning(same: Estimate, reverse: Estimate) -> str:
    """What the two rates say about the curse; never more than their intervals allow."""
    if same.value is None or reverse.value is None:
        return "One of the two could not be computed."
    if same.value < HARDLY:
        return (
            "The facts were not learnt, not even in the order they were told in, so this run "
            "says nothing about reversal: what has learnt nothing cannot reverse it either."
        )
    bounds = (same.low, same.high, reverse.low, reverse.high)
    if any(bound is None for bound in bounds):
        return "Too few facts for intervals, so the two rates are not compared."
    same_low, _, _, reverse_high = (float(bound) for bound in bounds if bound is not None)
    if same_low <= reverse_high:
        return "The intervals overlap: this run does not tell the two directions apart" + (
            ", and shows no reversal curse." if reverse.value >= 0.5 else "."
        )
    if reverse_high < HARDLY:
        never = "never" if reverse.value == 0 else "almost never"
        return f"What it learnt in one order, it {never} says in the other."
    return "What it learnt in one order, it says less often in the other."


def _one_sided(rates: Mapping[str, Estimate], measured: Measured) -> Answer:
    told = "No fact of this run was told in one order only"
    if rates:
        direction, rate = next(iter(rates.items()))
        told = (
            f"Asked {'in the order it was trained in' if direction == 'same' else 'in reverse'}, "
            f"the model is right in {spoken(rate)} of cases; the other direction was not asked"
        )
    words = Words(measured.roles)
    both = [
        f"{words.asked(order)} in {spoken(found)}"
        for order in ORDERS
        if (found := measured.estimates.find(**MATCH, group="both", order=order))
    ]
    control = f"; facts told in both orders are right when asked {' and '.join(both)}" * bool(both)
    shown = measured.estimates.find(**MATCH, group="realized", order="forward")
    if shown is not None:
        control += f"; questions that were shown with their answers are right in {spoken(shown)}"
    return Answer(f"{told}{control}.", "So this run cannot compare the two directions.")


def headline(run: Run, measured: Measured) -> Picture:
    """Exact match by group and direction, with the facts told in both orders as control."""
    rates = rates_of(measured, **MATCH)
    return picture(
        run,
        "exact_match",
        lambda theme: rates_figure(rates, theme, quantity="exact match"),
        title="",
        alt="Exact match with 95 % intervals. " + described(rates),
        caption=caption(rates),
    )
