"""Table 1: exact match of Experiment 1 in both directions."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from analysis.paper.figures import Dot
from analysis.paper.own import (
    CELLS,
    DIRECTIONS,
    QUANTITIES,
    SUBSETS,
    dots_picture,
    seeds_text,
    words,
)
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
from analysis.paper.sweeps import spreads
from interp_rc.display.section import Picture
from interp_rc.display.wording import spoken
from interp_rc.records.numbers import Estimate

PREFIX = "Exact match (prefix): the greedy completion begins with the target"


def rates_picture(paper: Paper, name: str, found: dict[str, Estimate]) -> Picture:
    """Four cells as dots; `found` by ``subset.asked``."""
    rows = [
        Dot(CELLS[s], {a: found[f"{s}.{a}"] for a in DIRECTIONS if f"{s}.{a}" in found})
        for s in SUBSETS
    ]
    return dots_picture(paper, name, {"": rows})


def table1(paper: Paper) -> Item:
    printed, runs = paper.item("table1"), paper.item("scaling")
    runs = runs[runs.model == "davinci"]
    again = {q: runs[runs.quantity == f"exact_match.{q}"].value.to_numpy() for q in QUANTITIES}
    rerun, own = paper.table("published"), paper.table("descriptions_by_seed")
    mine = (
        {}
        if own is None
        else {
            one.name.removeprefix("exact_match."): one
            for one in spreads(own, *(f"exact_match.{q}" for q in QUANTITIES))
        }
    )
    rows, strict = [], rerun_rates(rerun, "nowhere")
    known = rerun_rates(rerun, "elsewhere")
    for q in QUANTITIES:
        mean = value(printed, f"exact_match.{q}.mean")
        se = value(printed, f"exact_match.{q}.standard_error")
        three = again[q]
        parts = {"SD": np.std(three, ddof=1), "SE": stats.sem(three)}
        spread = ", ".join(f"{name} {shown(float(one), 'fraction')}" for name, one in parts.items())
        middle = [f"the three runs: {shown(three.mean(), 'fraction')}, {spread}"]
        if q in strict:
            middle.append(f"run here, templates in no corpus: {spoken(strict[q])}")
        if q in known:
            middle.append(f"run here, templates known: {spoken(known[q])}")
        left = f"{shown(mean, 'fraction')} ± {shown(se, 'fraction')}"
        right = spread_text(mine[q]) if q in mine else ""
        rows.append([words(q), left, "\n".join(middle), right])
    left_picture = rates_picture(
        paper,
        "table1_published",
        {q: point(value(printed, f"exact_match.{q}.mean"), "fraction") for q in QUANTITIES},
    )
    seeds = "" if own is None else seeds_text(own)
    return Item(
        "Table 1",
        "Asked in reverse, a finetuned model says nothing right",
        "Facts told in one order, asked in both, in held-out prompts.",
        (
            Side("GPT-3 davinci, three finetuned models", PREFIX, [left_picture], sources(printed)),
            Side(
                "The three davinci runs again; embedded model on the published data, three seeds",
                PREFIX,
                [rates_picture(paper, "table1_again", known)] if known else (),
                [*sources(runs), "analysis/tables/published.csv"],
            ),
            Side(
                f"Embedded model (about 1 M parameters), own facts, {seeds}; templates known about "
                "other people",
                PREFIX,
                [rates_picture(paper, "table1_own", {q: s.mean for q, s in mine.items()})]
                if mine
                else (),
                ["analysis/tables/descriptions_by_seed.csv"] if mine else (),
                () if mine else not_run("descriptions"),
            ),
        ),
        "The contrast between directions is the same everywhere; the level is not. The embedded "
        "model has never met the words of the published descriptions, so in templates that its "
        "corpus does not hold it says fewer of them whole; its own facts are written in words that "
        "it knows. Published ± is the standard error of three runs (SD over √3): the standard "
        "deviation of the same runs is √3 times as large.",
        [
            compare(
                rows,
                "Exact match; ± as published is a standard error, brackets are 95 % "
                "intervals over seeds (over facts where all seeds agree)",
            )
        ],
    )


SEEN = {"nowhere": "templates in no corpus", "elsewhere": "templates known"}
"""Whether the base model knows the published templates about other people."""


def rerun_rates(
    rerun: pd.DataFrame | None, seen: str, cells: Sequence[str] = QUANTITIES
) -> dict[str, Estimate]:
    """Rates of the re-run on the published data, with their intervals."""
    if rerun is None:
        return {}
    rows = rerun[rerun.templates_seen == seen].set_index("name")
    return {
        q: Estimate(r["value"], r["low"], r["high"], int(r["n"]), "fraction")
        for q in cells
        if f"exact_match.{q}" in rows.index
        for r in [rows.loc[f"exact_match.{q}"]]
    }
