"""The page's section on facts that are stated in the prompt itself."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from matplotlib.figure import Figure

from interp_rc.display.figures.change import Change, change_figure
from interp_rc.display.figures.rates import Rate, rates_figure
from interp_rc.display.figures.style import Theme
from interp_rc.display.section import Picture, Section, Table, picture
from interp_rc.display.vocabulary import Words
from interp_rc.display.wording import listed, spoken
from interp_rc.evaluation.match import LETTERS, PREFIX
from interp_rc.measures.in_context.measure import CANDIDATES
from interp_rc.measures.in_context.prompts import CONTEXTS, DIRECTIONS
from interp_rc.records.nouns import ORDERS
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured, Run

MATCH = {"quantity": "exact_match", "rule": PREFIX}
Axes = Mapping[str, str]
STATED = {"quantity": "candidate_accuracy", "set": "stated"}
CONTEXT = {
    "shots": "stated last, after examples",
    "list": "stated in a list of facts",
    "other": "another fact stated instead",
}


class Cell(NamedTuple):
    """One kind of prompt."""

    context: str
    direction: str
    order: str

    def told(self, words: Words) -> tuple[str, str]:
        """The fact that it is about, and what is asked for."""
        return CONTEXT[self.context], f"{words.sought(self.order)}, {words.asked(self.direction)}"


def section(run: Run, measured: Measured) -> Section:
    figures = [exact_match(run, measured)]
    if CANDIDATES in measured.tables:
        figures.append(accuracy(run, measured))
    return Section(
        title="What it can reverse that stands in its prompt",
        sentence=sentence(measured),
        figures=figures,
        tables=[numbers(measured)],
        note=(
            "The facts need not be trained: each is stated in the prompt in one order and asked in "
            "the same or the other. “In reverse” compares the question with the statement, not "
            "with the finetuning. After worked examples the right answer is always the entity "
            "stated last, so that repeating it is enough; in a list it must be found. Where "
            "another fact is stated instead, right answers would come from memory, and the table "
            "says how often the stated entity is repeated all the same."
        ),
    )


def models(measured: Measured) -> list[str]:
    """`base`, `finetuned` or both; the last is the one in question."""
    return sorted(measured.estimates.each("model"))


def cells() -> Iterator[Cell]:
    for context in CONTEXTS:
        for direction in DIRECTIONS:
            for order in ORDERS:
                if context != "other" or direction == "reverse":
                    yield Cell(context, direction, order)


def rates(measured: Measured, model: str, of: Axes) -> dict[Cell, Estimate]:
    """Those of a model, by kind of prompt, as far as there are any."""
    found = {cell: measured.estimates.find(model=model, **of, **cell._asdict()) for cell in cells()}
    return {cell: estimate for cell, estimate in found.items() if estimate is not None}


def rows(
    measured: Measured, model: str, of: Mapping[str, str], chance: float | None = None
) -> list[Rate]:
    """The same as rows of a figure."""
    words = Words(measured.roles)
    return [
        Rate(*cell.told(words), cell.direction, estimate, chance)
        for cell, estimate in rates(measured, model, of).items()
    ]


def sentence(measured: Measured) -> str:
    """Both directions of the paper's prompts, the control, and what the base model does."""
    parts, words = [], Words(measured.roles)
    for model in reversed(models(measured)):
        found = rates(measured, model, MATCH)
        reverse, control = (
            listed(
                [
                    f"{spoken(estimate)} ({words.sought(cell.order)})"
                    for cell, estimate in found.items()
                    if cell.context == context and cell.direction == "reverse"
                ]
            )
            for context in ("shots", "other")
        )
        parts.append(
            f"Asked in reverse about a fact that its prompt states, the {model} model is right in "
            f"{reverse} of cases; with another fact in its place, in {control}."
        )
    return " ".join(parts)


def exact_match(run: Run, measured: Measured) -> Picture:
    there = models(measured)
    found = {model: rows(measured, model, MATCH) for model in there}
    words = " ".join(
        f"{one.group}, {one.label}: {spoken(one.estimate)} ({model})."
        for model in there
        for one in found[model]
    )
    quantity = "exact match in context"
    if len(there) == 2:
        changes = [
            Change(before.group, before.label, before.asked, before.estimate, after.estimate)
            for before, after in zip(*found.values(), strict=True)
        ]
        caption = "Hollow: the base model; filled: the finetuned model. "

        def draw(theme: Theme) -> Figure:
            return change_figure(changes, theme, quantity=quantity)

    else:
        caption = ""

        def draw(theme: Theme) -> Figure:
            return rates_figure(found[there[0]], theme, quantity=quantity)

    return picture(
        run,
        "in_context",
        draw,
        title="Exact match with the fact in the prompt",
        alt=f"Exact match in context with 95 % intervals. {words}",
        caption=(
            f"{caption}Each row: what is asked for, and whether in the order of the statement. "
            "Share of facts whose greedy completion begins with the target. Lines: 95 % interval "
            "over facts."
        ),
    )


def accuracy(run: Run, measured: Measured) -> Picture:
    model = models(measured)[-1]
    stated = run.table(CANDIDATES).query("stated")
    chance = 1 / (len(stated) / stated[["model", "query"]].drop_duplicates().shape[0])
    found = rows(measured, model, STATED, chance)
    words = " ".join(f"{one.group}, {one.label}: {spoken(one.estimate)}." for one in found)
    return picture(
        run,
        "in_context_candidates",
        lambda theme: rates_figure(found, theme, quantity="right one of those stated"),
        title=f"Choice among the entities of the prompt ({model} model)",
        alt=f"Accuracy among the stated entities with 95 % intervals. {words}",
        caption=(
            "How often the right target is the most likely of those that the prompt's facts would "
            "have, whether or not the model says it. Dashed: chance. High here and low above: it "
            "can, but does not say it. Lines: 95 % interval over facts."
        ),
    )


def numbers(measured: Measured) -> Table:
    """Both rules, both sets of candidates, and repeating what was stated last."""
    columns = {
        "prefix rule": MATCH,
        "letters rule": {"quantity": "exact_match", "rule": LETTERS},
        "says the one stated last": {"quantity": "says_last", "rule": PREFIX},
        "best of those stated": STATED,
        "best of all": {"quantity": "candidate_accuracy", "set": "all"},
    }
    names = [name for name, of in columns.items() if measured.estimates.where(**of)]
    words, lines = Words(measured.roles), []
    for model in models(measured):
        found = [rates(measured, model, columns[name]) for name in names]
        for cell in cells():
            numbers = (spoken(of[cell]) if cell in of else "" for of in found)
            lines.append([model, *cell.told(words), *numbers])
    return Table(
        "Facts stated in the prompt: right answers by two rules (prefix: case and surrounding "
        "space ignored; letters: only letters compared, capitals count) and choice among "
        "candidates; percent, 95 % intervals over facts",
        ["model", "the fact is", "asked for", *names],
        lines,
        names,
    )
