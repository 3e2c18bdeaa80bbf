"""The page's section on what finetuning erased, and on the curse in pretraining itself."""

from interp_rc.display.figures.change import Change, change_figure
from interp_rc.display.figures.rates import Rate, rates_figure
from interp_rc.display.rates import described, rates_of
from interp_rc.display.section import Picture, Section, picture
from interp_rc.display.wording import spoken
from interp_rc.measures.forgetting.measure import MATCH
from interp_rc.records.runs import Measured, Run


def rates(measured: Measured, when: str) -> list[Rate]:
    return rates_of(measured, quantity=MATCH, when=when)


def section(run: Run, measured: Measured) -> Section:
    figures = [forgotten(run, measured)]
    if any(rate.asked == "reverse" for rate in rates(measured, "before")):
        figures.append(pretraining(run, measured))
    return Section(
        title="What finetuning did to what the base model knew",
        sentence=sentence(measured),
        figures=figures,
        note=(
            "The base model was pretrained here, on others of the kind, some of them told in "
            "one order only. Their queries were asked before and after finetuning."
        ),
    )


def changes(measured: Measured) -> list[Change]:
    before, after = (rates(measured, when) for when in ("before", "after"))
    return [
        Change(one.group, one.label, one.asked, one.estimate, other.estimate)
        for one, other in zip(before, after, strict=True)
    ]


def sentence(measured: Measured) -> str:
    """What was told, asked the way it was told, before and after; and the curse before."""
    of = {"quantity": MATCH, "group": "pooled"}
    before, after = (
        measured.estimates.of(**of, direction="told", when=when) for when in ("before", "after")
    )
    text = (
        f"Asked in an order it was told in, the base model is right in {spoken(before)} of cases "
        f"about its own corpus; after finetuning, in {spoken(after)}."
    )
    same, reverse = (
        measured.estimates.find(**of, direction=direction, when="before")
        for direction in ("same", "reverse")
    )
    if same is not None and reverse is not None:
        text += (
            f" About those told in one order only, it is right before finetuning in "
            f"{spoken(same)} when asked in that order and in {spoken(reverse)} "
            "when asked in reverse."
        )
    return text


def forgotten(run: Run, measured: Measured) -> Picture:
    rows = changes(measured)
    words = " ".join(
        f"{row.group}, asked {row.label}: {spoken(row.before)} before, {spoken(row.after)} after."
        for row in rows
    )
    return picture(
        run,
        "forgetting",
        lambda theme: change_figure(rows, theme, quantity="exact match on base facts"),
        title="Forgetting",
        alt=f"Exact match on base facts before and after finetuning. {words}",
        caption=(
            "The same queries about the base corpus, asked of the base model (hollow) and of the "
            "finetuned model (filled). Lines: 95 % interval over facts."
        ),
    )


def pretraining(run: Run, measured: Measured) -> Picture:
    before = rates(measured, "before")
    return picture(
        run,
        "pretraining",
        lambda theme: rates_figure(before, theme, quantity="exact match of the base model"),
        title="The curse in pretraining",
        alt="Exact match of the base model on its own corpus. " + described(before),
        caption=(
            "The base model before any finetuning, asked about its own corpus. Those told in one "
            "order only, asked in reverse, are a second test of the curse, free of finetuning; "
            "those told in both orders are its control."
        ),
    )
