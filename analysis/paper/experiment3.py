"""Experiment 3, instructions: Figures 6 and 10, and the floor of footnote 13."""

from analysis.paper.experiment1 import own_grid
from analysis.paper.parts import (
    DIRECTIONS,
    NOTHING_FOUND,
    OWN,
    PUBLISHED,
    SMALL,
    Paper,
    Side,
    compare,
    ends,
    item,
    not_run,
    point,
    source,
    sources,
    value,
    who,
)
from analysis.paper.sweeps import at_settings
from interp_rc.display.figures.rates import Rate
from interp_rc.display.section import Section, Table
from interp_rc.display.vocabulary import ASKED
from interp_rc.display.wording import spoken
from interp_rc.measures.related_answer_floor.measure import FLOORS, NAME
from interp_rc.records.numbers import Estimate

NOTHING = Side("", missing=["No completions were published to score again."])
RULE = "Exact match of the answer"
HELD_OUT = {"same": "trained_forward.same", "reverse": "trained_backward.reverse"}
"""Held-out questions are all asked question first, so the order they were told in decides."""
NAMES = {asked: f"exact_match.{cell}" for asked, cell in HELD_OUT.items()}


def own_rates(paper: Paper, *more: str) -> dict[str, Estimate]:
    """Exact match of held-out questions and other results, over seeds; none if not run."""
    trials = paper.table("instructions")
    names = [*NAMES.values(), *more]
    return {} if trials is None else at_settings(trials, names, [])[()]


def own_side(paper: Paper, rule: str) -> Side:
    trials = paper.table("instructions")
    if trials is None:
        return not_run("instructions", rule).side
    return Side(who(trials), rule, [source("instructions")])


def figure6(paper: Paper) -> Section:
    found, mine = paper.item("figure6"), own_rates(paper)
    rates = [
        Rate(str(model), ASKED[asked], asked, point(value(part, quantity), "fraction"))
        for model, part in found.groupby("model", sort=False)
        for asked in DIRECTIONS
        for quantity in [f"exact_match.instructions.{asked}"]
    ]
    own = [
        Rate("embedded model", ASKED[asked], asked, mine[name])
        for asked, name in NAMES.items()
        if mine
    ]
    rows = [[f"{r.group}, {r.label}", spoken(r.estimate), "", ""] for r in rates]
    rows += [[f"{r.group}, {r.label}", "", "", spoken(r.estimate)] for r in own]
    return item(
        "Figure 6: Instructions are reversed no better",
        "“Answer … with …” told one way; questions that were never answered in training.",
        (
            Side(
                "Llama-1 7B, 13B, 30B",
                f"{RULE}; whole percent, as typed into the notebook",
                sources(found),
            ),
            NOTHING,
            own_side(paper, RULE),
        ),
        SMALL + "The published rates are typed in by hand, without runs or intervals.",
        [
            paper.rates("figure6_published", rates, PUBLISHED),
            paper.rates("figure6_own", own, OWN, over="seeds"),
        ],
        [compare(rows, "Exact match of held-out instructions")],
    )


def figure10(paper: Paper) -> Section:
    names = list(NAMES.values())
    own, cells = own_grid(paper, "instructions_sweep", RULE, names, "figure10_own")
    rows = [[f"lowest to highest, {ASKED[a]}", "", "", ends(cells, n)] for a, n in NAMES.items()]
    return item(
        "Figure 10: Instructions over learning rates and batch sizes",
        "Does any setting reverse them?",
        (Side("Llama-1", missing=paper.lost("figure10")), NOTHING, own.side),
        f"{NOTHING_FOUND}The same order is of models told question first, the reverse of models "
        "told answer first.",
        own.figures,
        [compare(rows, "Exact match over all settings")] if cells else [],
    )


def footnote13(paper: Paper) -> Section:
    floors = {cell: [f"{NAME}.{cell}.{floor}" for floor in FLOORS] for cell in HELD_OUT.values()}
    found = own_rates(paper, *(name for names in floors.values() for name in names))
    rows = [
        [ASKED[asked], *(spoken(found[name]) for name in (NAMES[asked], *floors[cell]))]
        for asked, cell in HELD_OUT.items()
        if found
    ]
    columns = [
        "held-out questions",
        "exact match",
        "most similar question by words",
        "by the base model’s states",
        "any other question",
    ]
    return item(
        "Footnote 13: The floor of Experiment 3",
        "How often is an answer right that was not recalled?",
        (
            Side("", missing=paper.lost("footnote13")),
            NOTHING,
            own_side(paper, "The answer of another question, scored as if it had been given"),
        ),
        f"{NOTHING_FOUND}What a model answers in reverse is evidence of recall only as far as it "
        "lies above these floors.",
        tables=[Table("Means over seeds with 95 % intervals", columns, rows)] if rows else [],
    )
