"""The page's section on where the association lives, by activation patching."""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import pandas as pd

from interp_rc.figures.heatmap import Map, Rows, heatmap_figure
from interp_rc.mechanism.discoveries import is_discovery
from interp_rc.mechanism.patching_map import EFFECTS, MAPPED, WHERE, told_in
from interp_rc.records.nouns import ORDERS, SUBSETS, TOLD_IN, Order, Subset
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured, Run
from interp_rc.records.seeds import derive_seed
from interp_rc.report.section import Picture, Section, picture
from interp_rc.report.wording import listed, spoken
from interp_rc.stats.intervals import bootstrap_mean

COMPONENT = {"attn_out": "attention", "mlp_out": "MLP", "resid_post": "residual stream"}
SOURCE = {"forward": "name", "backward": "description"}
HARDLY = 0.05
"""Below this share of the total, the best place is not worth its name."""
ASKED = {"forward": "Asked name first", "backward": "Asked description first"}


def section(run: Run, measured: Measured) -> Section:
    title = "Where the association lives"
    if EFFECTS not in measured.tables:
        return Section(title, "Fewer than two facts of each set were learnt: nothing to map.")
    table = run.table(EFFECTS)
    orders = [o for o in ORDERS if f"patching.{o}.{told_in(o)}.total" in measured.estimates]
    return Section(
        title=title,
        sentence=" ".join(sentence(run, table, measured, order) for order in orders),
        figures=[map_picture(run, table, measured, order) for order in orders],
        note=(
            "One fact's activation at one place is put into the same question about another fact; "
            "the effect is what the log-probability of the first fact's answer gains. Facts that "
            "the model had learnt by half of the held-out templates are measured in others. A "
            "place early on the path restores what every later place on it restores: the map says "
            "where the difference between two facts passes, not alone where it is written. "
            + noise_note(measured)
        ),
    )


class Peak(NamedTuple):
    """A site chosen in one template, and its effects in the others, by subset (nats)."""

    component: str
    layer: int
    where: str
    effects: dict[str, Estimate]


def peak(run: Run, table: pd.DataFrame, order: Order, wheres: Collection[str]) -> Peak:
    """The attention or MLP output at `wheres` with the largest effect on facts told this way.

    Chosen in the first measuring template, measured in the others, so that its value is not the
    largest of many by luck.
    """
    rows = table[
        (table.order == order)
        & (table.site != "resid_post")
        & table["where"].isin(list(wheres))
        & ~table.structural_zero
    ]
    first = rows.template == rows.template.iloc[0]
    chosen = rows[first & (rows.subset == told_in(order))]
    keys = ["site", "layer", "where"]
    component, layer, where = chosen.groupby(keys).effect.mean().idxmax()
    there = rows[
        ~first & (rows.site == component) & (rows.layer == layer) & (rows["where"] == where)
    ]
    seed = derive_seed(run.config()["seed"], "report", "peak", order)
    effects = {
        str(subset): bootstrap_mean(
            part.groupby("fact").effect.mean().to_numpy(float), "nat", seed=seed
        )
        for subset, part in there.groupby("subset")
    }
    return Peak(str(component), int(layer), str(where), effects)


def sentence(run: Run, table: pd.DataFrame, measured: Measured, order: Order) -> str:
    """The best place at the source and the best where the answer begins, with their controls."""
    told = told_in(order)
    total = measured.estimates[f"patching.{order}.{told}.total"]
    at_source = peak(run, table, order, [where for where in WHERE if where != "prompt_last"])
    at_end = peak(run, table, order, ["prompt_last"])
    text = (
        f"{ASKED[order]}, {place(at_source, order)} restores {spoken(at_source.effects[told])} "
        f"of the {spoken(total)} that separate two facts told that way"
    )
    controls = [
        f"{spoken(at_source.effects[subset])} for facts told {words}"
        for subset, words in (("both", "in both orders"), (other(told), "in the other order"))
        if subset in at_source.effects
    ]
    if controls:
        text += f" ({listed(controls)})"
    most, whole = at_end.effects[told], total.value or 0.0
    if (most.value or 0.0) < HARDLY * whole:
        return f"{text}; no output at the prompt’s last token restores more than {spoken(most)}."
    best = place(at_end, order, short=True)
    return f"{text}; at the prompt’s last token {best} restores most, {spoken(most)}."


def other(subset: Subset) -> Subset:
    return next(s for s in SUBSETS if TOLD_IN[s] not in (None, TOLD_IN[subset]))


def place(best: Peak, order: Order, *, short: bool = False) -> str:
    component = f"{COMPONENT[best.component]} {best.layer}"
    return component if short else f"{component} at {token_words(order)[best.where]}"


def token_words(order: Order) -> dict[str, str]:
    source = SOURCE[order]
    return {
        "source_first": f"the {source}'s first token",
        "source_last": f"the {source}'s last token",
        "source_all": f"the whole {source}",
        "prompt_last": "the prompt's last token",
    }


def map_picture(run: Run, table: pd.DataFrame, measured: Measured, order: Order) -> Picture:
    """Shares of the told-in-this-order total, three conditions side by side."""
    told = told_in(order)
    total = measured.estimates[f"patching.{order}.{told}.total"].value
    assert total is not None
    titles = {told: "told this way", "both": "in both", other(told): "other way"}
    found = {test.name for test in measured.tests if is_discovery(test)}
    rows = table[table.order == order]
    maps = [
        one_map(rows[rows.subset == subset], title, total, found, f"patching.{order}.{subset}")
        for subset, title in titles.items()
        if (rows.subset == subset).any()
    ]
    source = SOURCE[order]
    labels = [f"{source}, first", f"{source}, last", f"{source}, all", "prompt, last"]
    groups = [Rows(COMPONENT[component], labels) for component in MAPPED]
    quantity = f"share of {total:.1f} nat"
    return picture(
        run,
        f"patching_map_{order}",
        lambda theme: heatmap_figure(maps, groups, theme, quantity=quantity),
        title=ASKED[order],
        alt=f"{ASKED[order]}: effects of patching. {sentence(run, table, measured, order)}",
        caption=(
            "Mean effect over facts of patching one component of one layer at one token (or at "
            "all tokens of the source), as a share of what separates two facts that were told in "
            "this order. Points: further from zero than chance allows (5 % false discoveries, "
            "Benjamini–Hochberg). Grey: the causal mask leaves no effect possible."
        ),
    )


def one_map(rows: pd.DataFrame, title: str, total: float, found: set[str], name: str) -> Map:
    means = rows.groupby(["site", "where", "layer"]).effect.mean()
    zero = rows.groupby(["site", "where", "layer"]).structural_zero.all()
    layers = int(rows.layer.max()) + 1
    keys = [(component, where) for component in MAPPED for where in WHERE]

    def grid(cell: "pd.Series", scale: float) -> np.ndarray:
        return np.array([[cell[(*key, layer)] / scale for layer in range(layers)] for key in keys])

    discovered = [
        [f"{name}.{component}.{layer}.{where}" in found for layer in range(layers)]
        for component, where in keys
    ]
    return Map(title, grid(means, total), grid(zero, 1).astype(bool), np.array(discovered))


def noise_note(measured: Measured) -> str:
    floor = measured.estimates["patching.noise_floor"].value or 0.0
    return f"Patching a prompt into itself moves nothing by more than {floor:.1g} nat."
