"""The page of result tables of Experiment 2: rates, and what each of them is a share of."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from interp_rc.display.figures.parents import ModelRates, parents_figure
from interp_rc.display.section import Picture, Table, picture
from interp_rc.display.wording import in_nats, probability, spoken
from interp_rc.evaluation.parents.rates import CONDITIONED, POINTS, Rates, Scored
from interp_rc.facts.parent_tables import Kind
from interp_rc.records.environment import environment
from interp_rc.records.files import write_text
from interp_rc.records.numbers import Estimate
from interp_rc.report.environment import page_environment
from interp_rc.report.page import environment_rows

MEASURED: dict[Kind, str] = {
    "share": "rates are means of the share of sampled responses that name the right person",
    "probability": "rates are means of the probability of the right name, one wording of it",
    "found": "the child's rate is the share of pairs of which a sampled response named the child",
}
SAMPLED = "At least one sampled response names the right person"
NOTES: dict[Kind, str] = {
    "share": "share of responses",
    "probability": "probability of the name",
    "found": "pairs chosen by its own answers",
}
COUNTED = (
    "All: every row of the file. Deduplicated: a child, parent and type once, by the last of its "
    "rows. Joined: as the paper counted, whose five tables were joined on child, parent and type; "
    "a pair that came twice in each then came 2⁵ = 32 times, which makes 1,573 of 1,513 rows.",
    "Parent: the child is named, the parent asked for. Child: the parent is named, any child of "
    "theirs asked for, and only this one is right. A parent with several children is asked a "
    "question with several right answers, of which one counts: a child's rate need not be able to "
    "reach 100 %.",
    "Intervals and p: mother and father of a child are not independent, so children are resampled "
    "whole (bootstrap, 95 %), and signs are flipped child by child in the paired test of the "
    "difference.",
    "At least one response is a more generous rule than the share of responses: the more samples, "
    "the higher. Compare it only with models that were sampled as often.",
)
DENOMINATORS = (
    "The paper asked GPT-4 for mother and father of 1,000 celebrities and kept the pairs for which "
    "its answer had the form of a name. 1,573 of 2,000 questions are 78.65 %, the published 79 %; "
    "the 1,513 rows of the file would be 75.65 %. Whether such an answer was right was not asked: "
    "it was taken for the truth, and so the parent's rate in the pairs that were kept is 100 % by "
    "construction. The 33 % is of those pairs, ten samples each, one right line enough. So 79 % "
    "against 33 % compares two denominators and two rules. A model that was asked for both, about "
    "pairs that another had found, is scored on the same pairs under one rule: only then is there "
    "a difference, with a test, here."
)


@dataclass(slots=True)
class Drawn:
    """Where figures go."""

    figures: Path


def write_parent_tables(scored: Sequence[Scored], folder: Path) -> Path:
    """Draw the figure and write `report.html`; gives its file."""
    page = folder / "report.html"
    conditioned = [one.name for one in scored if one.whole.parent is None]
    template = page_environment().get_template("parent_tables.html.j2")
    content = {
        "name": "Parents and children",
        "sentences": [sentence(one) for one in scored],
        "conditioned": f"{', '.join(conditioned)}: {CONDITIONED}." if conditioned else "",
        "figure": figure(scored, folder),
        "rates": rates_table(scored),
        "every": every_table(scored),
        "counted": COUNTED,
        "denominators": DENOMINATORS,
        "refused": refused_table(scored),
        "environment": environment_rows(environment()),
    }
    write_text(page, template.render(content))
    return page


def sentence(one: Scored) -> str:
    whole = one.whole
    pairs = f"{whole.pairs:,} pairs"
    if whole.parent is None:
        return f"{one.name} names the child in {spoken(whole.child)} of {pairs} that it had found."
    if one.table.kind == "probability":
        return (
            f"{one.name} gives the parent's name a probability of {spoken(whole.parent)} and the "
            f"child's one of {spoken(whole.child)}, on average over {pairs}."
        )
    return (
        f"{one.name} names the parent in {spoken(whole.parent)} and the child in "
        f"{spoken(whole.child)} of {pairs}."
    )


def model_rates(one: Scored) -> ModelRates:
    """The two bars of a table: all its rows."""
    whole = one.whole
    return ModelRates(one.name, whole.parent, whole.child, NOTES[one.table.kind])


def figure(scored: Sequence[Scored], folder: Path) -> Picture:
    rows = [model_rates(one) for one in scored]
    return picture(
        Drawn(folder / "figures"),
        "parents",
        lambda theme: parents_figure(rows, theme),
        title="Parents and children",
        alt=" ".join(sentence(one) for one in scored),
        caption="As Figure 5 of the paper: how often the parent is named when asked about the "
        "child, and the child when asked about the parent; all rows of each file.",
    )


COLUMNS = ["parent", "child", "difference [points]", "p"]
ANY = ["any parent", "any child"]


def rates_table(scored: Sequence[Scored]) -> Table:
    columns = ["model", "pairs", "children", *COLUMNS]
    rows = [
        [one.name, f"{r.pairs:,}", f"{r.child.n:,}", *rates_cells(r)]
        for one in scored
        for r in [one.whole]
    ]
    return Table("All rows, mothers and fathers", columns, rows, columns[1:])


def every_table(scored: Sequence[Scored]) -> Table:
    columns = ["model", "counted", "type", "pairs", *COLUMNS, *ANY]
    rows = [
        [
            *(one.name, r.counted, r.parent_type, f"{r.pairs:,}"),
            *rates_cells(r),
            *(said(found) for found in (r.any_parent, r.any_child)),
        ]
        for one in scored
        for r in one.rates
    ]
    caption = "“Any”: at least one sampled response is right, where there are samples"
    return Table(caption, columns, rows, columns[3:])


def rates_cells(rates: Rates) -> list[str]:
    parent = "by construction" if rates.parent is None else said(rates.parent)
    return [
        parent,
        said(rates.child),
        said(rates.difference),
        probability(rates.test.p if rates.test else None),
    ]


def said(estimate: Estimate | None) -> str:
    if estimate is None:
        return ""
    return in_nats(estimate) if estimate.unit == POINTS else spoken(estimate)


def refused_table(scored: Sequence[Scored]) -> Table | None:
    rows = [
        [one.table.path.name, str(row.line), row.reason]
        for one in scored
        for row in one.table.refused
    ]
    columns = ["file", "line", "reason"]
    return Table("Rows that could not be used", columns, rows, ["line"]) if rows else None
