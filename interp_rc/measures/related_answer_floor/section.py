"""The page's section on what a related question's answer would score."""

import pandas as pd

from interp_rc.display.lookup import look_up
from interp_rc.display.section import Picture, Section, Table, picture
from interp_rc.display.vocabulary import Words, cells
from interp_rc.display.wording import probability, spoken
from interp_rc.measures.related_answer_floor.figure import Level, floors_figure
from interp_rc.measures.related_answer_floor.measure import FLOORS, NAME, TABLE
from interp_rc.records.runs import Measured, Run

LABELS = {
    "words": "most alike, by words",
    "states": "most alike, by states",
    "random": "any other question",
}
EXAMPLES = 5


def section(run: Run, measured: Measured) -> Section:
    table = run.table(TABLE)
    found = cells(set(table.cell))
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


def sentence(measured: Measured, subset: str, asked: str) -> str:
    name = f"{subset}.{asked}"
    own = look_up(measured, f"{NAME}.{name}.model")
    adjusted = {test.name: test.p_adjusted for test in measured.tests}
    parts = [
        f"{LABELS[floor]}, in {spoken(measured.estimates[full])}"
        + (f" (p {probability_of(adjusted[full])})" if adjusted.get(full) is not None else "")
        for floor in FLOORS
        for full in [f"{NAME}.{name}.{floor}"]
    ]
    words = asked_words(measured, subset, asked)
    return (
        f"Of questions {words}, the model answers {spoken(own)} rightly. The answer of another "
        f"question would be right: {'; '.join(parts)}. Each p is for the model being above that, "
        "Holm-adjusted."
    )


def asked_words(measured: Measured, subset: str, asked: str) -> str:
    words = Words(measured.roles)
    return f"{words.told(subset)}, asked {words.asked(asked)}"


def probability_of(p: float | None) -> str:
    text = probability(p)
    return text if text.startswith("<") else f"= {text}"


def floors(run: Run, measured: Measured, subset: str, asked: str) -> Picture:
    name = f"{subset}.{asked}"
    levels = [
        Level("the model", look_up(measured, f"{NAME}.{name}.model"), asked),
        *(Level(LABELS[floor], measured.estimates[f"{NAME}.{name}.{floor}"]) for floor in FLOORS),
    ]
    words = "; ".join(f"{level.label}: {spoken(level.estimate)}" for level in levels)
    return picture(
        run,
        f"{NAME}_{asked}",
        lambda theme: floors_figure(levels, theme, quantity="right answers"),
        title="",
        alt=f"Right answers to held-out questions, and by chance. {words}.",
        caption=(
            f"Held-out questions {asked_words(measured, subset, asked)}: how often the "
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
