"""Appendix B.3: accuracy and likelihood against size."""

import pandas as pd

from analysis.over_seeds import over_seeds
from analysis.paper.figures import Curve, curves
from analysis.paper.own import QUANTITIES, own_side
from analysis.paper.parts import Item, Paper, Side, compare, setting_text, shown, sources
from analysis.paper.sweeps import spreads
from analysis.paper.table1 import PREFIX, words
from interp_rc.report.section import Table
from interp_rc.report.wording import spoken


def scaling(paper: Paper) -> Item:
    found, sizes = paper.item("scaling"), paper.item("sizes").set_index("model").value
    lines = []
    for quantity in QUANTITIES:
        rows = found[found.quantity == f"exact_match.{quantity}"]
        means = {m: over_seeds(_named(part))["x"] for m, part in rows.groupby("model", sort=False)}
        order = sorted(means, key=lambda m: sizes[m])
        lines.append(
            Curve(
                words(quantity),
                quantity.split(".")[1],
                [sizes[m] for m in order],
                [means[m] for m in order],
            )
        )
    alt = "; ".join(
        f"{line.label}: " + ", ".join(e.text() for e in line.estimates) for line in lines
    )
    left = paper.picture(
        "scaling_published",
        lambda theme: curves(
            lines,
            theme,
            x="parameters (authors' labels)",
            y="exact match [%]",
            scale=100,
            log=True,
            top=100,
        ),
        alt=alt,
    )
    own, own_rows = own_side(paper, "scaling", rule=PREFIX, picture=False)
    mine = own_scaling(paper)
    if mine:
        draw = paper.picture(
            "scaling_own",
            lambda theme: curves(
                mine, theme, x="parameters", y="exact match [%]", scale=100, log=True, top=100
            ),
            alt="; ".join(line.label for line in mine),
        )
        own = Side(own.who, own.rule, [draw], own.sources)
    rows = [[words(q), ends(lines, words(q)), "", ends(mine, words(q))] for q in QUANTITIES]
    return Item(
        "Appendix B.3",
        "Larger models are no better at it",
        "Accuracy, and likelihood of the right name, against size.",
        (
            Side(
                "GPT-3: ada, babbage, curie, davinci, three finetuned models each",
                f"{PREFIX}; bars: 95 % t intervals over three runs",
                [left],
                [*sources(found), *sources(paper.item("sizes"))],
                paper.lost("table1_label"),
            ),
            Side("", missing=["Only rates were published, no completions."]),
            own,
        ),
        "Sizes are the authors' labels of models whose size the service does not tell; the largest "
        "embedded model is far below the smallest of them. Published runs share one learning rate "
        "and batch size, chosen on ada.",
        [
            compare(rows, "Exact match, lowest to highest over sizes"),
            *by_model(paper),
            *([own_rows] if own_rows else []),
        ],
    )


def _named(part: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"name": "x", "value": part.value, "n": 30, "unit": part.unit})


def over_runs(found: pd.DataFrame, model: str, quantity: str) -> str:
    """Mean over the runs of one model with its t interval."""
    part = found[(found.model == model) & (found.quantity == quantity)]
    return spoken(over_seeds(_named(part))["x"])


def by_model(paper: Paper) -> list[Table]:
    """Every model's exact match, and right against other name."""
    found, likely = paper.item("scaling"), paper.item("table3")
    base = "log_prob.name_to_description.reverse"
    models = list(paper.item("sizes").sort_values("value").model)
    rates = [
        [model, *(over_runs(found, model, f"exact_match.{q}") for q in QUANTITIES)]
        for model in models
    ]
    nats = [
        [model, *(over_runs(likely, model, f"{base}.{which}") for which in ("correct", "random"))]
        for model in models
    ]
    return [
        Table(
            "As published: exact match, mean over three runs",
            ["model", *map(words, QUANTITIES)],
            rates,
        ),
        Table(
            "As published: told name first, name asked for; log-probability, mean over three runs",
            ["model", "right name", "other name"],
            nats,
        ),
    ]


def ends(lines: list[Curve], label: str) -> str:
    """Lowest to highest mean of one curve."""
    values = [e.value for line in lines if line.label == label for e in line.estimates]
    known = [value for value in values if value is not None]
    if not known:
        return ""
    low, high = shown(min(known), "fraction"), shown(max(known), "fraction")
    return f"{low} to {high}, {len(known)} sizes"


def own_scaling(paper: Paper) -> list[Curve]:
    """Curves over the estimate named `parameters`, if the sweep has it."""
    trials = paper.own("scaling")
    if trials is None:
        return []
    sizes = {
        setting_text(one.setting): one.mean.value
        for one in spreads(trials, "parameters", "model.parameters")
    }
    lines = []
    for quantity in QUANTITIES:
        found = [
            (sizes[setting_text(one.setting)], one.mean)
            for one in spreads(trials, f"exact_match.{quantity}")
            if setting_text(one.setting) in sizes
        ]
        found.sort(key=lambda pair: pair[0] or 0)
        if found:
            lines.append(
                Curve(
                    words(quantity),
                    quantity.split(".")[1],
                    [float(x or 0) for x, _ in found],
                    [e for _, e in found],
                )
            )
    return lines
