"""Appendix B.8 and Figure 9: the loss of a soft prompt over epochs, and in reverse."""

import pandas as pd

from analysis.paper.own import DIRECTIONS, WHO, caption_of, source, who
from analysis.paper.parts import Item, Paper, Side, not_run, spread_text
from analysis.paper.sweeps import spreads
from analysis.paper.traces import curve, curves_picture
from interp_rc.display.figures.curves import CurvePanel
from interp_rc.display.section import Table
from interp_rc.display.vocabulary import ASKED, TOLD
from interp_rc.display.wording import listed, spoken

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
RULE = (
    "Loss: negative log-probability of the whole target. Shuffled: after the same prompt the "
    "target of another fact"
)


def prompt_tuning(paper: Paper) -> Item:
    trials, trace = (
        paper.table(name, TOLD_ONLY) for name in ("prompt_tuning", "prompt_tuning_trace")
    )
    own = Side(WHO, RULE, missing=not_run("prompt_tuning"))
    tables, control = [], ""
    if trials is not None and trace is not None:
        drawn = curves_picture(
            paper, "figure9_own", panels(trace), quantity="loss of the target [nat]"
        )
        files = [source("prompt_tuning"), source("prompt_tuning_trace")]
        own = Side(who(trials), RULE, [drawn], files)
        tables.append(numbers(trials))
        control = same_order(trials)
    return Item(
        "Appendix B.8 and Figure 9",
        "Prompt tuning",
        "A soft prompt is trained with the model frozen: loss over epochs, and the reverse.",
        (
            Side("", missing=paper.lost("prompt_tuning")),
            Side("", missing=["Nothing published to score again."]),
            own,
        ),
        "No published number was found to compare with. A falling loss is knowledge of the facts "
        "only as far as it falls below that of the shuffled targets: the rest is how such targets "
        f"are worded. {control}",
        tables,
    )


def panels(trace: pd.DataFrame) -> list[CurvePanel]:
    """One for each order that was trained, of the facts told in it."""
    told = trace[trace.subset == trace[TOLD_ONLY]]
    return [
        CurvePanel(
            TOLD[str(subset)],
            [
                curve(rows[(rows.asked == asked) & (rows["set"] == kind)], "loss", label)
                for (asked, kind), label in CURVES.items()
            ],
        )
        for subset, rows in told.groupby("subset", sort=False)
    ]


def same_order(trials: pd.DataFrame) -> str:
    """Whether the facts were learnt at all, without which the reverse says nothing."""
    parts, unlearnt = [], []
    for subset, told in trials.groupby(TOLD_ONLY, sort=False):
        (one,) = spreads(told, f"trace.advantage.{subset}.same")
        parts.append(f"{TOLD[str(subset)]} by {spoken(one.mean)}")
        if one.mean.low is None or one.mean.low <= 0:
            unlearnt.append(TOLD[str(subset)])
    text = f"In the same order the right target is likelier than the shuffled one {listed(parts)}."
    if unlearnt:
        text += f" So facts {listed(unlearnt)} were not shown to be learnt, and the reverse of "
        text += "what was not learnt says nothing."
    return text


def numbers(trials: pd.DataFrame) -> Table:
    """At the end: how far each loss came, and the right target's lead over the shuffled one."""
    rows = []
    for subset, told in trials.groupby(TOLD_ONLY, sort=False):
        found = {one.name: spread_text(one) for one in spreads(told, "trace.*")}
        for asked in DIRECTIONS:
            texts = [found[f"trace.{name.format(f'{subset}.{asked}')}"] for name in COLUMNS]
            rows.append([f"{TOLD[str(subset)]}, {ASKED[asked]}", *texts])
    columns = ["asked", *COLUMNS.values()]
    return Table(caption_of("prompt_tuning", trials), columns, rows)
