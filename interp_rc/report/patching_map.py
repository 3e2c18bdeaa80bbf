"""The page's section on where the association lives, by activation patching."""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import pandas as pd

from interp_rc.figures.heatmap import Map, Rows, heatmap_figure
from interp_rc.mechanism.discoveries import is_discovery
from interp_rc.mechanism.patching_map import BASELINES, EFFECTS, MAPPED, WHERE
from interp_rc.models.adapters.parts import Component
from interp_rc.records.nouns import ORDERS, TOLD_ONLY, TOLD_OTHERWISE, Order
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
    orders = [o for o in ORDERS if f"patching.{o}.{TOLD_ONLY[o]}.total" in measured.estimates]
    if not orders:
        return Section(title, "Fewer than two facts told in one order were learnt: nothing to map.")
    table = run.table(EFFECTS)
    return Section(
        title=title,
        sentence=" ".join(sentence(run, table, order) for order in orders),
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

    Chosen in the first measuring template and measured in the others, on the same facts: what is
    peculiar to a template does not count.
    """
    rows = table[
        (table.order == order)
        & (table.site != "resid_post")
        & table["where"].isin(list(wheres))
        & ~table.structural_zero
    ]
    first = rows.template == rows.template.iloc[0]
    chosen = rows[first & (rows.subset == TOLD_ONLY[order])]
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


def sentence(run: Run, table: pd.DataFrame, order: Order) -> str:
    """The best place at the source and the best where the answer begins, with their controls."""
    told = TOLD_ONLY[order]
    total = total_elsewhere(run, order)
    at_source = peak(run, table, order, [where for where in WHERE if where != "prompt_last"])
    at_end = peak(run, table, order, ["prompt_last"])
    text = (
        f"{ASKED[order]}, {place(at_source, order)} restores {spoken(at_source.effects[told])} "
        f"of the {spoken(total)} that separate two facts told that way"
    )
    controls = [
        f"{spoken(at_source.effects[subset])} for facts told {words}"
        for subset, words in (
            ("both", "in both orders"),
            (TOLD_OTHERWISE[order], "in the other order"),
        )
        if subset in at_source.effects
    ]
    if controls:
        text += f" ({listed(controls)})"
    most, whole = at_end.effects[told], total.value or 0.0
    if (most.value or 0.0) < HARDLY * whole:
        return (
            f"{text}; the output at the prompt’s last token that restores most in one template "
            f"restores {spoken(most)} in the others."
        )
    best = place(at_end, order, short=True)
    return f"{text}; at the prompt’s last token {best} restores most, {spoken(most)}."


def total_elsewhere(run: Run, order: Order) -> Estimate:
    """What separates two facts told in this order, in the templates that no site is chosen in."""
    rows = run.table(BASELINES)
    rows = rows[rows.order == order]
    rows = rows[(rows.template != rows.template.iloc[0]) & (rows.subset == TOLD_ONLY[order])]
    per_fact = (rows.clean - rows.corrupted).groupby(rows.fact).mean()
    seed = derive_seed(run.config()["seed"], "report", "total", order)
    return bootstrap_mean(per_fact.to_numpy(float), "nat", seed=seed)


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
    told = TOLD_ONLY[order]
    total = measured.estimates[f"patching.{order}.{told}.total"]
    titles = {told: "told this way", "both": "in both", TOLD_OTHERWISE[order]: "other way"}
    found = {test.name for test in measured.tests if is_discovery(test)}
    rows = table[table.order == order]
    scale, quantity = colours_of(total, rows)
    maps = [
        one_map(rows[rows.subset == subset], title, scale, found, f"patching.{order}.{subset}")
        for subset, title in titles.items()
        if (rows.subset == subset).any()
    ]
    source = SOURCE[order]
    labels = [f"{source}, first", f"{source}, last", f"{source}, all", "prompt, last"]
    groups = [Rows(COMPONENT[component], labels) for component in _mapped(rows)]
    return picture(
        run,
        f"patching_map_{order}",
        lambda theme: heatmap_figure(maps, groups, theme, quantity=quantity),
        title=ASKED[order],
        alt=f"{ASKED[order]}: effects of patching. {sentence(run, table, order)}",
        caption=(
            "Mean effect over facts of patching one component of one layer at one token (or at "
            "all tokens of the source), as a share of what separates two facts that were told in "
            "this order. Points: further from zero than chance allows (5 % false discoveries, "
            "Benjamini–Hochberg). Grey: the causal mask leaves no effect possible."
        ),
    )


def colours_of(total: Estimate, rows: pd.DataFrame) -> tuple[float, str]:
    """What 100 % of the colours is: the total, unless its interval includes zero."""
    if total.value is not None and total.low is not None and total.low > 0:
        return total.value, f"share of {total.value:.1f} nat"
    keys = ["subset", "site", "layer", "where"]
    largest = float(rows.groupby(keys).effect.mean().abs().max()) or 1.0
    return largest, f"effect; 100 % is {largest:.2g} nat"


def one_map(rows: pd.DataFrame, title: str, total: float, found: set[str], name: str) -> Map:
    means = rows.groupby(["site", "where", "layer"]).effect.mean()
    zero = rows.groupby(["site", "where", "layer"]).structural_zero.all()
    layers = int(rows.layer.max()) + 1
    keys = [(component, where) for component in _mapped(rows) for where in WHERE]

    def grid(cell: "pd.Series", scale: float) -> np.ndarray:
        return np.array([[cell[(*key, layer)] / scale for layer in range(layers)] for key in keys])

    discovered = [
        [f"{name}.{component}.{layer}.{where}" in found for layer in range(layers)]
        for component, where in keys
    ]
    return Map(title, grid(means, total), grid(zero, 1).astype(bool), np.array(discovered))


def _mapped(rows: pd.DataFrame) -> list[Component]:
    """Of some models the stream alone is known."""
    return [component for component in MAPPED if (rows["site"] == component).any()]


def noise_note(measured: Measured) -> str:
    floor = measured.estimates["patching.noise_floor"].value or 0.0
    return f"Rounding alone can move a prompt by {floor:.1g} nat."
