"""The page's section on what a related question's answer would score."""

import pandas as pd

from interp_rc.display.rates import by_cell
from interp_rc.display.section import Picture, Section, Table, picture
from interp_rc.display.vocabulary import Words
from interp_rc.display.wording import probability, spoken
from interp_rc.measures.related_answer_floor.figure import Level, floors_figure
from interp_rc.measures.related_answer_floor.measure import FLOORS, NAME, TABLE
from interp_rc.records.estimates import Estimates, cell
from interp_rc.records.runs import Measured, Run

LABELS = {
    "model": "the model",
    "words": "most alike, by words",
    "states": "most alike, by states",
    "random": "any other question",
}
EXAMPLES = 5


def section(run: Run, measured: Measured) -> Section:
    table = run.table(TABLE)
    found = by_cell(measured, method="model")
    return Section(
        title="More than the answer of a related question?",
        sentence=" ".join(sentence(measured, *cell) for cell in found),
        figures=[floors(run, measured, *cell) for cell in found],
        tables=[examples(table)],
        note=(
            "Alike: by TF-IDF cosine of their words, or by cosine of the base model’s mean last "
            "states, less their mean over all questions. Questions of one kind share answers, so "
            "a model that knows only what kind of answer fits is right now and then. Each floor "
            "gives every held-out question the answer of another question of the set, scored as "
            "the model’s answers are. The test flips signs of the differences, fact by fact. A "
            "large p does not show that there is no difference."
        ),
    )


def sentence(measured: Measured, group: str, asked: str) -> str:
    of = cell(group, asked)
    own = measured.estimates.of(**of, method="model")
    adjusted = {test.name: test.p_adjusted for test in measured.tests}
    parts = []
    for floor in FLOORS:
        p = adjusted.get(Estimates(NAME).name(**of, method=floor))
        parts.append(
            f"{LABELS[floor]}, in {spoken(measured.estimates.of(**of, method=floor))}"
            + ("" if p is None else f" (p {probability_of(p)})")
        )
    words = Words(measured.roles).cell(group, asked)
    return (
        f"Of questions {words}, the model answers {spoken(own)} rightly. The answer of another "
        f"question would be right: {'; '.join(parts)}. Each p is for the model being above that, "
        "Holm-adjusted."
    )


def probability_of(p: float | None) -> str:
    text = probability(p)
    return text if text.startswith("<") else f"= {text}"


def floors(run: Run, measured: Measured, group: str, asked: str) -> Picture:
    rates = {
        method: measured.estimates.of(**cell(group, asked), method=method) for method in LABELS
    }
    levels = [
        Level(label, rates[method], asked if method == "model" else None)
        for method, label in LABELS.items()
    ]
    words = "; ".join(f"{level.label}: {spoken(level.estimate)}" for level in levels)
    return picture(
        run,
        f"{NAME}_{asked}",
        lambda theme: floors_figure(levels, theme, quantity="right answers"),
        title="",
        alt=f"Right answers to held-out questions, and by chance. {words}.",
        caption=(
            f"Held-out questions {Words(measured.roles).cell(group, asked)}: how often the "
            "model is right (point), and how often the answer of another question would be "
            "(grey bars). Lines: 95 % interval over facts."
        ),
    )


def examples(table: pd.DataFrame) -> Table:
    """The first facts, not chosen."""
    columns = ["question", "answer", "related_question", "related_answer"]
    return Table(
        "Held-out questions, and the other question most alike in words",
        ["question", "its answer", "related question", "its answer"],
        [[str(value) for value in row] for row in table[columns].head(EXAMPLES).to_numpy()],
    )
