"""Experiment 3 over training: Figure 11, accuracy on held-out instructions by epoch."""

import pandas as pd

from analysis.paper.experiment3 import HELD_OUT, NOTHING, RULE
from analysis.paper.own import SMALL, WHO, source, who
from analysis.paper.parts import Item, Paper, Side, compare, not_run, point, shown, sources
from analysis.paper.traces import curve, curves_picture
from interp_rc.display.figures.curves import Curve, CurvePanel
from interp_rc.display.vocabulary import ASKED, TOLD
from interp_rc.display.wording import spoken

STEPS_PER_EPOCH = 8
"""As the authors' notebook draws the curve."""
ACCURACY = "accuracy [%]"


def figure11(paper: Paper) -> Item:
    found, trials = paper.item("figure11"), paper.table("instructions")
    trace = paper.table("instructions_trace")
    published = Curve(
        ASKED["reverse"],
        "reverse",
        [step / STEPS_PER_EPOCH for step in found.step],
        [point(v, "fraction") for v in found.value],
    )
    left = curves_picture(
        paper, "figure11_published", [CurvePanel("", [published])], quantity=ACCURACY
    )
    own, mine = Side(WHO, RULE, missing=not_run("instructions")), {}
    if trials is not None and trace is not None:
        mine = {asked: held_out_curves(trace, cell) for asked, cell in HELD_OUT.items()}
        panels = [CurvePanel(TOLD[HELD_OUT[a].split(".")[0]], lines) for a, lines in mine.items()]
        own = Side(
            who(trials),
            "Greedy decoding says the answer, token by token; dashed: the answer of another "
            "fact; each panel has an axis of its own",
            [curves_picture(paper, "figure11_own", panels, quantity=ACCURACY)],
            [source("instructions_trace")],
        )
    rows = [
        [f"{said}, {ASKED[asked]}", say([published]) if asked == "reverse" else "", "", say(lines)]
        for asked in ("reverse", "same")
        for lines in [mine.get(asked, [])]
        for said, say in (("lowest to highest", lowest_to_highest), ("at the end", at_end))
    ]
    return Item(
        "Figure 11",
        "More training does not bring the reverse",
        "Accuracy on held-out instructions over the epochs.",
        (
            Side(
                "Llama-1 7B, one run of ten epochs",
                "Recorded as validation accuracy, in hundredths",
                [left],
                sources(found),
            ),
            NOTHING,
            own,
        ),
        "The published file is called one of twenty epochs and ends at step 79, which the "
        "notebook draws as epoch 9.9. " + SMALL,
        [compare(rows, "Accuracy over training")],
    )


def held_out_curves(trace: pd.DataFrame, cell: str) -> list[Curve]:
    """The right answers' curve, and that of another fact's answers."""
    subset, asked = cell.split(".")
    rows = trace[(trace.subset == subset) & (trace.asked == asked)]
    said = {"correct": ASKED[asked], "shuffled": "another’s answer"}
    return [curve(rows[rows["set"] == kind], "accuracy", label) for kind, label in said.items()]


def lowest_to_highest(lines: list[Curve]) -> str:
    """Of the right answers, which come first."""
    if not lines:
        return ""
    rates = [e.value for e in lines[0].estimates if e.value is not None]
    return f"{shown(min(rates), 'fraction')} to {shown(max(rates), 'fraction')}"


def at_end(lines: list[Curve]) -> str:
    """With what another fact's answers would score, if that was asked."""
    right, *others = [spoken(line.estimates[-1]) for line in lines] or [""]
    return f"{right}\nanother’s answer: {others[0]}" if others else right
