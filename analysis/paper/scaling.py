"""Appendix B.3: accuracy and likelihood against size."""

from dataclasses import replace

import pandas as pd

from analysis.over_seeds import over_seeds
from analysis.paper.figures import SizeCurve, size_curves
from analysis.paper.own import QUANTITIES, RATES, caption_of, own_side, words
from analysis.paper.parts import Item, Paper, Side, compare, shown, sources, spread_text
from analysis.paper.sweeps import by_setting, spreads
from analysis.paper.table1 import PREFIX
from interp_rc.display.section import Picture, Table
from interp_rc.display.wording import spoken

RIGHT = "log_prob.trained_forward.reverse"


def scaling(paper: Paper) -> Item:
    found, sizes = paper.item("scaling"), paper.item("sizes").set_index("model").value
    lines = []
    for quantity in QUANTITIES:
        rows = found[found.quantity == f"exact_match.{quantity}"]
        means = {m: over_seeds(_named(part))["x"] for m, part in rows.groupby("model", sort=False)}
        order = sorted(means, key=lambda m: sizes[m])
        lines.append(
            SizeCurve(
                words(quantity),
                quantity.split(".")[1],
                [sizes[m] for m in order],
                [means[m] for m in order],
            )
        )
    own, own_rows = own_side(
        paper, "scaling", {"parameters": "parameters"} | RATES, rule=PREFIX, picture=False
    )
    mine = own_scaling(paper)
    if mine:
        own = replace(own, pictures=[curves_picture(paper, "scaling_own", mine, x="parameters")])
    rows = [[words(q), ends(lines, words(q)), "", ends(mine, words(q))] for q in QUANTITIES]
    return Item(
        "Appendix B.3",
        "Larger models are no better at it",
        "Accuracy, and likelihood of the right name, against size.",
        (
            Side(
                "GPT-3: ada, babbage, curie, davinci, three finetuned models each",
                f"{PREFIX}; bars: 95 % t intervals over three runs",
                [
                    curves_picture(
                        paper, "scaling_published", lines, x="parameters (authors' labels)"
                    )
                ],
                [*sources(found), *sources(paper.item("sizes"))],
                paper.lost("table1_label"),
            ),
            Side("", missing=["Only rates were published, no completions."]),
            own,
        ),
        "Sizes are the authors' labels of models whose size the service does not tell; the largest "
        "embedded model is far below the smallest of them. Published runs share one learning rate "
        "and batch size, chosen on ada; so do the finetunings here, of models that were pretrained "
        "at a learning rate each on the same short corpus. Where the same order is hardly learnt, "
        "the reverse says little.",
        [
            compare(rows, "Exact match, lowest to highest over sizes"),
            *by_model(paper),
            *([own_rows] if own_rows else []),
            *own_likelihood(paper),
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
    models = list(paper.item("sizes").sort_values("value").model)
    rates = [
        [model, *(over_runs(found, model, f"exact_match.{q}") for q in QUANTITIES)]
        for model in models
    ]
    nats = [
        [model, *(over_runs(likely, model, f"{RIGHT}.{which}") for which in ("correct", "random"))]
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


def curves_picture(paper: Paper, name: str, lines: list[SizeCurve], *, x: str) -> Picture:
    alt = "; ".join(f"{line.label}: " + ", ".join(e.text() for e in line.rates) for line in lines)
    return paper.picture(name, lambda theme: size_curves(lines, theme, x=x), alt=alt)


def ends(lines: list[SizeCurve], label: str) -> str:
    """Lowest to highest mean of one curve."""
    values = [e.value for line in lines if line.label == label for e in line.rates]
    known = [value for value in values if value is not None]
    if not known:
        return ""
    low, high = shown(min(known), "fraction"), shown(max(known), "fraction")
    return f"{low} to {high}, {len(known)} sizes"


def own_scaling(paper: Paper) -> list[SizeCurve]:
    """Curves over the number of parameters."""
    trials = paper.table("scaling")
    if trials is None:
        return []
    cells = by_setting(spreads(trials, "parameters", *RATES))
    cells.sort(key=lambda cell: cell.found["parameters"].mean.value or 0)
    return [
        SizeCurve(
            words(quantity),
            quantity.split(".")[1],
            [cell.found["parameters"].mean.value or 0 for cell in cells],
            [cell.found[f"exact_match.{quantity}"].mean for cell in cells],
        )
        for quantity in QUANTITIES
    ]


def own_likelihood(paper: Paper) -> list[Table]:
    """Right against other names by size, as of the published models."""
    trials = paper.table("scaling")
    if trials is None:
        return []
    names = ["parameters", f"{RIGHT}.correct", f"{RIGHT}.random"]
    rows = [
        [spread_text(cell.found[name]) for name in names]
        for cell in by_setting(spreads(trials, *names))
    ]
    caption = f"{caption_of('scaling', trials)}: told name first, name asked for"
    return [Table(caption, ["parameters", "right name", "other names"], rows)]
