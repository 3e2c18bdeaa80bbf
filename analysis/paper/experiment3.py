"""Experiment 3, instructions: Figures 6 and 10, and the floor of footnote 13."""

import pandas as pd

from analysis.paper.figures import Dot
from analysis.paper.learning_rates import maps_text, own_maps
from analysis.paper.own import DIRECTIONS, SMALL, WHO, caption_of, dots_picture, source, who
from analysis.paper.parts import (
    Item,
    Paper,
    Side,
    compare,
    not_run,
    point,
    shown,
    sources,
    spread_text,
    value,
)
from analysis.paper.sweeps import Spread, spreads
from interp_rc.display.section import Table
from interp_rc.display.vocabulary import ASKED, TOLD
from interp_rc.measures.related_answer_floor.measure import FLOORS, NAME

NOTHING = Side("", missing=["No completions were published to score again."])
RULE = "Exact match of the answer"
HELD_OUT = {"same": "trained_forward.same", "reverse": "trained_backward.reverse"}
"""Held-out questions are all asked question first, so the order they were told in decides."""


def own_rates(trials: pd.DataFrame) -> dict[str, Spread]:
    """Exact match by direction."""
    names = {f"exact_match.{cell}": asked for asked, cell in HELD_OUT.items()}
    return {names[one.name]: one for one in spreads(trials, *names)}


def figure6(paper: Paper) -> Item:
    found, trials = paper.item("figure6"), paper.table("instructions")
    drawn, rows = [], []
    for model, part in found.groupby("model", sort=False):
        rates = {a: value(part, f"exact_match.instructions.{a}") for a in DIRECTIONS}
        drawn.append(Dot(str(model), {a: point(v, "fraction") for a, v in rates.items()}))
        rows += [
            [f"{model}, {ASKED[asked]}", shown(rates[asked], "fraction"), "", ""]
            for asked in DIRECTIONS
        ]
    own = Side(WHO, RULE, missing=not_run("instructions"))
    if trials is not None:
        mine = own_rates(trials)
        rows += [
            [f"embedded model, {ASKED[asked]}", "", "", spread_text(one)]
            for asked, one in mine.items()
        ]
        row = Dot("embedded model", {asked: one.mean for asked, one in mine.items()})
        own = Side(
            who(trials),
            RULE,
            [dots_picture(paper, "figure6_own", {"": [row]})],
            [source("instructions")],
        )
    return Item(
        "Figure 6",
        "Instructions are reversed no better",
        "“Answer … with …” told one way; questions that were never answered in training.",
        (
            Side(
                "Llama-1 7B, 13B, 30B",
                f"{RULE}; whole percent, as typed into the notebook",
                [dots_picture(paper, "figure6_published", {"": drawn})],
                sources(found),
            ),
            NOTHING,
            own,
        ),
        SMALL + "The published rates are typed in by hand, without runs or intervals.",
        [compare(rows, "Exact match of held-out instructions")],
    )


def figure10(paper: Paper) -> Item:
    results = {asked: (f"exact_match.{cell}",) for asked, cell in HELD_OUT.items()}
    own, maps = own_maps(paper, "instructions_sweep", "figure10_own", RULE, results)
    rows = [
        [f"lowest to highest, {ASKED[asked]}", "", "", maps_text(maps, asked)]
        for asked in DIRECTIONS
    ]
    return Item(
        "Figure 10",
        "Instructions over learning rates and batch sizes",
        "Does any setting reverse them?",
        (Side("Llama-1", missing=paper.lost("figure10")), NOTHING, own),
        "No published rates were found to compare with. The same order is of models told question "
        "first, the reverse of models told answer first.",
        [compare(rows, "Exact match over all settings")] if maps else [],
    )


def footnote13(paper: Paper) -> Item:
    trials = paper.table("instructions")
    rule = "The answer of another question, scored as if it had been given"
    own = Side(WHO, rule, missing=not_run("instructions"))
    tables = []
    if trials is not None:
        own = Side(who(trials), rule, (), [source("instructions")])
        rows = [
            [TOLD[cell.split(".")[0]], *(spread_text(one) for one in floors(trials, cell))]
            for cell in HELD_OUT.values()
        ]
        tables.append(Table(caption_of("instructions", trials), COLUMNS, rows))
    return Item(
        "Footnote 13",
        "The floor of Experiment 3",
        "How often is an answer right that was not recalled?",
        (Side("", missing=paper.lost("footnote13")), NOTHING, own),
        "No published number was found to compare with. What a model answers in reverse is "
        "evidence of recall only as far as it lies above these floors.",
        tables,
    )


COLUMNS = [
    "held-out questions",
    "exact match",
    "most similar question by words",
    "by the base model’s states",
    "any other question",
]


def floors(trials: pd.DataFrame, cell: str) -> list[Spread]:
    """The accuracy of held-out questions, then its floors."""
    names = [f"exact_match.{cell}", *(f"{NAME}.{cell}.{floor}" for floor in FLOORS)]
    found = {one.name: one for one in spreads(trials, *names)}
    return [found[name] for name in names]
