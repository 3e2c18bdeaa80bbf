"""Curves over training: Figure 9 (the loss of a soft prompt) and Figure 11 (instructions)."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from analysis.paper.experiment3 import HELD_OUT, NOTHING, RULE
from analysis.paper.parts import (
    DIRECTIONS,
    NOTHING_FOUND,
    OWN,
    PUBLISHED,
    SMALL,
    Paper,
    Side,
    compare,
    item,
    not_run,
    point,
    shown,
    source,
    sources,
    who,
)
from analysis.paper.sweeps import at_settings
from interp_rc.display.figures.curves import Curve, CurvePanel, curves_figure
from interp_rc.display.section import Picture, Section, Table, picture
from interp_rc.display.vocabulary import ASKED, Words
from interp_rc.display.wording import listed, spoken
from interp_rc.records.nouns import QUESTIONS
from interp_rc.records.numbers import Estimate
from interp_rc.stats.intervals import RATE
from interp_rc.stats.over_seeds import mean_over_seeds

UNITS = {"loss": "nat", "accuracy": RATE}


def curve(rows: pd.DataFrame, quantity: str, label: str) -> Curve:
    """One group, direction and set of targets: means over seeds at each epoch."""
    (asked,), (kind,) = rows.asked.unique(), rows["set"].unique()
    named = rows.rename(columns={quantity: "value"}).assign(unit=UNITS[quantity])
    found = {float(epoch): mean_over_seeds(part) for epoch, part in named.groupby("epoch")}
    return Curve(label, str(asked), list(found), list(found.values()), kind == "shuffled")


def in_percent(one: Curve) -> Curve:
    """Rates as they are drawn; other numbers as they are."""
    return replace(one, estimates=[_percent(estimate) for estimate in one.estimates])


def _percent(rate: Estimate) -> Estimate:
    if rate.unit != RATE:
        return rate
    value, low, high = (None if v is None else 100 * v for v in (rate.value, rate.low, rate.high))
    return Estimate(value, low, high, rate.n, "%")


def curves_picture(
    paper: Paper, name: str, panels: Sequence[CurvePanel], *, quantity: str, title: str
) -> Picture:
    """`alt` has the first and the last point of each curve."""
    alt = "; ".join(
        f"{panel.title} {one.label}: from {one.estimates[0].text()} to {one.estimates[-1].text()}"
        for panel in panels
        for one in panel.curves
    )
    drawn = [replace(panel, curves=list(map(in_percent, panel.curves))) for panel in panels]
    return picture(
        paper,
        name,
        lambda theme: curves_figure(drawn, theme, quantity=quantity),
        title=title,
        alt=alt,
        caption="",
    )


CURVES = {
    ("same", "correct"): "same order",
    ("reverse", "correct"): "in reverse",
    ("same", "shuffled"): "shuffled",
    ("reverse", "shuffled"): "shuffled",
}
COLUMNS = {
    "loss_change.{}.correct": "change of the loss",
    "loss_change.{}.shuffled": "of the shuffled target’s",
    "advantage.{}": "right less shuffled, log-probability",
    "accuracy.{}.correct": "greedy answer right",
}
TOLD_ONLY = "training.only"
LOSS = (
    "Loss: negative log-probability of the whole target. Shuffled: after the same prompt the "
    "target of another fact"
)


def prompt_tuning(paper: Paper) -> Section:
    trials, trace = (
        paper.table(name, TOLD_ONLY) for name in ("prompt_tuning", "prompt_tuning_trace")
    )
    own, figures, tables, control = not_run("prompt_tuning", LOSS).side, [], [], ""
    if trials is not None and trace is not None:
        own = Side(who(trials), LOSS, [source("prompt_tuning"), source("prompt_tuning_trace")])
        quantity = "loss of the target [nat]"
        figures = [
            curves_picture(paper, "figure9_own", panels(trace), quantity=quantity, title=OWN)
        ]
        tables = [at_the_end(trials)]
        control = same_order(trials)
    return item(
        "Appendix B.8 and Figure 9: Prompt tuning",
        "A soft prompt is trained with the model frozen: loss over epochs, and the reverse.",
        (
            Side("", missing=paper.lost("prompt_tuning")),
            Side("", missing=["Nothing published to score again."]),
            own,
        ),
        f"{NOTHING_FOUND}A falling loss is knowledge of the facts only as far as it falls below "
        f"that of the shuffled targets: the rest is how such targets are worded. {control}",
        figures,
        tables,
    )


def panels(trace: pd.DataFrame) -> list[CurvePanel]:
    """One for each order that was trained, of the facts told in it."""
    told = trace[trace.group == trace[TOLD_ONLY]]
    return [
        CurvePanel(
            Words().told(str(group)),
            [
                curve(rows[(rows.asked == asked) & (rows["set"] == kind)], "loss", label)
                for (asked, kind), label in CURVES.items()
            ],
        )
        for group, rows in told.groupby("group", sort=False)
    ]


def same_order(trials: pd.DataFrame) -> str:
    """Whether the facts were learnt at all, without which the reverse says nothing."""
    parts, unlearnt = [], []
    for group in trials[TOLD_ONLY].unique():
        name = f"trace.advantage.{group}.same"
        (found,) = at_settings(trials[trials[TOLD_ONLY] == group], [name], []).values()
        parts.append(f"{Words().told(group)} by {spoken(found[name])}")
        if (found[name].low or 0) <= 0:
            unlearnt.append(Words().told(group))
    text = f"In the same order the right target is likelier than the shuffled one {listed(parts)}."
    if unlearnt:
        text += f" So facts {listed(unlearnt)} were not shown to be learnt, and the reverse of "
        text += "what was not learnt says nothing."
    return text


def at_the_end(trials: pd.DataFrame) -> Table:
    """How far each loss came, and the right target's lead over the shuffled one."""
    rows = []
    for (group,), found in at_settings(trials, set(trials["name"]), [TOLD_ONLY]).items():
        for asked in DIRECTIONS:
            names = [f"trace.{name.format(f'{group}.{asked}')}" for name in COLUMNS]
            label = f"{Words().told(str(group))}, {ASKED[asked]}"
            rows.append([label, *(spoken(found[name]) for name in names)])
    caption = "This run, prompt_tuning: means over seeds with 95 % intervals"
    return Table(caption, ["asked", *COLUMNS.values()], rows)


STEPS_PER_EPOCH = 8
"""As the authors' notebook draws the curve."""


def figure11(paper: Paper) -> Section:
    found, trials = paper.item("figure11"), paper.table("instructions")
    trace, quantity = paper.table("instructions_trace"), "accuracy [%]"
    published = Curve(
        ASKED["reverse"],
        "reverse",
        [step / STEPS_PER_EPOCH for step in found.step],
        [point(v, "fraction") for v in found.value],
    )
    drawn = [CurvePanel("", [published])]
    figures = [
        curves_picture(paper, "figure11_published", drawn, quantity=quantity, title=PUBLISHED)
    ]
    own, mine = not_run("instructions", RULE).side, {}
    if trials is not None and trace is not None:
        mine = {asked: held_out_curves(trace, cell) for asked, cell in HELD_OUT.items()}
        told = {
            asked: Words(QUESTIONS).told(cell.split(".")[0]) for asked, cell in HELD_OUT.items()
        }
        drawn = [CurvePanel(told[asked], lines) for asked, lines in mine.items()]
        figures.append(curves_picture(paper, "figure11_own", drawn, quantity=quantity, title=OWN))
        own = Side(
            who(trials),
            "Greedy decoding says the answer, token by token; dashed: the answer of another "
            "fact; each panel has an axis of its own",
            [source("instructions_trace")],
        )
    rows = [
        [f"{said}, {ASKED[asked]}", say([published]) if asked == "reverse" else "", "", say(lines)]
        for asked in ("reverse", "same")
        for lines in [mine.get(asked, [])]
        for said, say in (("lowest to highest", lowest_to_highest), ("at the end", at_end))
    ]
    return item(
        "Figure 11: More training does not bring the reverse",
        "Accuracy on held-out instructions over the epochs.",
        (
            Side(
                "Llama-1 7B, one run of ten epochs",
                "Recorded as validation accuracy, in hundredths",
                sources(found),
            ),
            NOTHING,
            own,
        ),
        "The published file is called one of twenty epochs and ends at step 79, which the "
        "notebook draws as epoch 9.9. " + SMALL,
        figures,
        [compare(rows, "Accuracy over training")],
    )


def held_out_curves(trace: pd.DataFrame, cell: str) -> list[Curve]:
    """The right answers' curve, and that of another fact's answers."""
    group, asked = cell.split(".")
    rows = trace[(trace.group == group) & (trace.asked == asked)]
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
    return f"{right}; another’s answer: {others[0]}" if others else right
