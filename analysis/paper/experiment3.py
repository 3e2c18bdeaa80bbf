"""Experiment 3, instructions: Figures 6, 10 and 11, and the floor of footnote 13."""

from analysis.paper.figures import Curve, Dot, dots
from analysis.paper.learning_rates import map_side, maps_text, own_maps
from analysis.paper.own import SMALL, WHO, over_training, own_side, training_picture
from analysis.paper.parts import Item, Paper, Side, compare, not_run, point, shown, sources, value
from interp_rc.report.wording import number

NOTHING = Side("", missing=["No completions were published to score again."])
RULE = "Exact match of the answer"
STEPS_PER_EPOCH = 8
"""As the authors' notebook draws the curve."""


def figure6(paper: Paper) -> Item:
    found = paper.item("figure6")
    drawn, rows = [], []
    for model, part in found.groupby("model", sort=False):
        rates = {a: value(part, f"exact_match.instructions.{a}") for a in ("same", "reverse")}
        drawn.append(Dot(str(model), {a: point(v, "fraction") for a, v in rates.items()}))
        rows += [
            [f"{model}, {said}", shown(rates[asked], "fraction"), "", ""]
            for asked, said in (("same", "same order"), ("reverse", "in reverse"))
        ]
    alt = "; ".join(f"{row[0]}: {row[1]}" for row in rows)
    left = paper.picture(
        "figure6_published", lambda theme: dots(drawn, theme, quantity="exact match [%]"), alt=alt
    )
    own, table = own_side(paper, "instructions", "exact_match*", rule=RULE)
    return Item(
        "Figure 6",
        "Instructions are reversed no better",
        "“Answer … with …” told one way; questions that were never answered in training.",
        (
            Side(
                "Llama-1 7B, 13B, 30B",
                f"{RULE}; whole percent, as typed into the notebook",
                [left],
                sources(found),
            ),
            NOTHING,
            own,
        ),
        SMALL + "The published rates are typed in by hand, without runs or intervals.",
        [compare(rows, "Exact match of held-out instructions"), *([table] if table else [])],
    )


def figure10(paper: Paper) -> Item:
    names = {
        "same": ("exact_match.pooled.same", "exact_match.instructions.same"),
        "reverse": ("exact_match.pooled.reverse", "exact_match.instructions.reverse"),
    }
    maps, table = own_maps(paper, "instructions_sweep", names)
    own = Side(
        WHO,
        RULE,
        (),
        ["analysis/tables/instructions_sweep.csv"] if maps or table else (),
        () if maps or table else not_run("instructions_sweep"),
    )
    rows = [
        [f"lowest to highest, {said}", "", "", maps_text(maps, asked)]
        for asked, said in (("same", "same order"), ("reverse", "in reverse"))
    ]
    return Item(
        "Figure 10",
        "Instructions over learning rates and batch sizes",
        "Does any setting reverse them?",
        (
            Side("Llama-1", missing=paper.lost("figure10")),
            NOTHING,
            map_side(paper, "figure10_own", maps, own) if maps else own,
        ),
        "No published rates were found to compare with.",
        [
            *([compare(rows, "Exact match over all settings")] if maps else []),
            *([table] if table else []),
        ],
    )


def figure11(paper: Paper) -> Item:
    found = paper.item("figure11")
    curve = Curve(
        "in reverse",
        "reverse",
        [s / STEPS_PER_EPOCH for s in found.step],
        [point(v, "fraction") for v in found.value],
    )
    left = training_picture(paper, "figure11_published", [curve], y="accuracy [%]", scale=100)
    trials = paper.own("instructions")
    lines = [] if trials is None else over_training(trials, "exact_match*", "accuracy*")
    right = training_picture(paper, "figure11_own", lines, y="exact match [%]", scale=100)
    low, high, last = found.value.min(), found.value.max(), found.value.iloc[-1]
    rows = [
        [
            "lowest to highest",
            f"{number(100 * low, 1)} % to {number(100 * high, 1)} %",
            "",
            "" if not lines else " to ".join(shown(end, "fraction") for end in _ends(lines)),
        ],
        ["at the end", shown(float(last), "fraction"), "", ""],
    ]
    return Item(
        "Figure 11",
        "More training does not bring the reverse",
        "Accuracy on held-out instructions over the epochs of one run.",
        (
            Side(
                "Llama-1 7B, one run of ten epochs",
                "Recorded as validation accuracy, in hundredths",
                left,
                sources(found),
            ),
            NOTHING,
            Side(
                WHO,
                RULE,
                right,
                ["analysis/tables/instructions.csv"] if lines else (),
                ()
                if lines
                else not_run("instructions")
                if trials is None
                else ["The finished table holds no accuracy by epoch."],
            ),
        ),
        "The published file is called one of twenty epochs and ends at step 79, which the "
        "notebook draws as epoch 9.9. " + SMALL,
        [compare(rows, "Accuracy over training")],
    )


def _ends(lines: list[Curve]) -> tuple[float, float]:
    values = [e.value for line in lines for e in line.estimates if e.value is not None]
    return min(values), max(values)


def footnote13(paper: Paper) -> Item:
    own, table = own_side(
        paper, "instructions", "floor*", "chance*", "*floor", rule=RULE, picture=False
    )
    if table is None and paper.own("instructions") is not None:
        own = Side(WHO, RULE, missing=["The finished table holds no floor."])
    return Item(
        "Footnote 13",
        "The floor of Experiment 3",
        "How often is an answer right that was not recalled?",
        (Side("", missing=paper.lost("footnote13")), NOTHING, own),
        "No published number was found to compare with.",
        [table] if table else [],
    )
