"""The page's section on children and their parents."""

from interp_rc.display.figures.parents import ModelRates, parents_figure
from interp_rc.display.section import Answer, Picture, Section, picture
from interp_rc.display.wording import MINUS, TIE, probability, spoken
from interp_rc.measures.parents.estimates import POOLED, SHARE, test_name
from interp_rc.measures.parents.measure import REPLIES
from interp_rc.measures.parents.section_numbers import ASKED_IN, in_orders, numbers, wordings
from interp_rc.records.nouns import ORDERS
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured, Run

POOLED_SHARE = {"wording": POOLED, **SHARE}


def section(run: Run, measured: Measured) -> Section:
    samples = int(run.table(REPLIES)["sample"].max()) + 1
    return Section(
        title="Parents and children",
        sentence=sentence(measured) + unknown(measured),
        figures=[figure(run, measured, samples)],
        tables=numbers(run, measured, samples),
        note=note(measured, samples),
        answer=Answer(sentence(measured), meaning(measured)),
        unit="children",
    )


def sentence(measured: Measured) -> str:
    parent, child, apart = (
        measured.estimates.of(**POOLED_SHARE, order=order) for order in (*ORDERS, "difference")
    )
    p = {test.name: test.p for test in measured.tests}
    tested = p.get(test_name(POOLED))
    told = "" if tested is None else f" (p{TIE}={TIE}{probability(tested)})"
    return (
        f"Asked about the child, the model names the parent in {spoken(parent)} of samples; asked "
        f"about the parent, it names the child in {spoken(child)}: a difference of "
        f"{points(apart)}{told}."
    )


def points(estimate: Estimate) -> str:
    """On one line."""
    return estimate.text(1).replace("-", MINUS).replace(" ", TIE)


def unknown(measured: Measured) -> str:
    parent, child = in_orders(measured, wording=POOLED, quantity="unknown")
    return (
        f" It says that it does not know the parent in {spoken(parent)} of samples, and the child "
        f"in {spoken(child)}."
    )


def meaning(measured: Measured) -> str:
    """What follows, never more than the intervals allow."""
    parent = measured.estimates.of(**POOLED_SHARE, order="forward")
    apart = measured.estimates.of(**POOLED_SHARE, order="difference")
    if parent.value is not None and parent.value < 0.1:
        return (
            "It hardly knows the parents, so this run says nothing about reversal: what is not "
            "known in one order cannot be missing in the other."
        )
    if apart.low is None or apart.high is None:
        return "Too few children, or too much alike, for an interval of the difference."
    if apart.low > 0:
        return "Of the same pairs, it says more in the order of child to parent than in reverse."
    if apart.high < 0:
        return "Of the same pairs, it says more in the order of parent to child than in reverse."
    return "The interval of the difference includes zero: this run does not tell the two apart."


def note(measured: Measured, samples: int) -> str:
    pairs, removed = (measured.estimates.of(quantity=quantity) for quantity in ("pairs", "removed"))
    left = f" {removed.value:g} more were left out, because the examples name one of their people."
    return (
        f"{pairs.value:,.0f} pairs of {pairs.n:,} children, each asked in both orders after the "
        f"same examples, {samples} samples a question at temperature 1 (“any”: at least one of "
        "them is right) and once greedily."
        f"{left if removed.value else ''} All pairs of the list count, whether or not this model "
        "knows the parent. Where a list was chosen by a model’s own answers, as the paper’s was "
        "by GPT-4’s, that model’s rate of parents is not comparable with its rate of children, "
        "nor with another list’s. A parent may have several children: any of them would answer "
        "the question, and only the pair’s own counts as right, so that a child’s rate has a "
        "ceiling below 100 %; how often another child of the list was named stands beside it. "
        "Mother and father of a child are not independent: intervals and tests are over children. "
        "Children of one parent count as independent, though they share the questions about that "
        "parent: with many of them in a list, intervals may be too narrow."
    )


def figure(run: Run, measured: Measured, samples: int) -> Picture:
    rows = [
        ModelRates(
            ASKED_IN[wording][:1].upper() + ASKED_IN[wording][1:],
            parent,
            child,
        )
        for wording in wordings(measured)
        for parent, child in [in_orders(measured, wording=wording, **SHARE)]
    ]
    words = " ".join(
        f"{row.model}: parent {spoken(row.parent)}, child {spoken(row.child)}."
        for row in rows
        if row.parent
    )
    return picture(
        run,
        "parents",
        lambda theme: parents_figure(rows, theme),
        title="Named when asked about the other",
        alt=f"Share of samples that name the right person, with 95 % intervals. {words}",
        caption=(
            "As Figure 5 of the paper: how often the parent is named when asked about the child, "
            f"and the child when asked about the parent. Share of {samples} samples, by the rule "
            "“same person”. Lines: 95 % interval over children."
        ),
    )
