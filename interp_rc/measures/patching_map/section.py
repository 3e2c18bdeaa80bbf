"""The page's section on where the association lives, by activation patching."""

from itertools import product
from typing import Any, NamedTuple

import numpy as np

from interp_rc.display.figures.heatmap import Map, Rows, heatmap_figure
from interp_rc.display.section import Picture, Section, picture
from interp_rc.display.vocabulary import Words
from interp_rc.display.wording import listed, spoken
from interp_rc.measures.patching_map.measure import CHOSEN_AT, MAPPED, PLACES
from interp_rc.models.adapters.parts import Component
from interp_rc.records.estimates import MissingNumber
from interp_rc.records.nouns import ORDERS, TOLD_ONLY, TOLD_OTHERWISE, Group, Order
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured, Run
from interp_rc.tools.patching.discoveries import is_discovery

COMPONENT = {"attn_out": "attention", "mlp_out": "MLP", "resid_post": "residual stream"}
HARDLY = 0.05
"""Below this share of the total, the best place is not worth its name."""


def section(run: Run, measured: Measured) -> Section:
    title = "Where the association lives"
    orders = [o for o in ORDERS if total(measured, o, TOLD_ONLY[o])]
    if not orders:
        return Section(title, "Fewer than two facts told in one order were learnt: nothing to map.")
    return Section(
        title=title,
        sentence=" ".join(sentence(measured, order) for order in orders),
        figures=[map_picture(run, measured, order) for order in orders],
        note=(
            "One fact's activation at one place is put into the same question about another fact; "
            "the effect is what the log-probability of the first fact's answer gains. Facts that "
            "the model had learnt by half of the held-out templates are measured in others. A "
            "place early on the path restores what every later place on it restores: the map says "
            "where the difference between two facts passes, not alone where it is written. "
            + noise_note(measured)
        ),
    )


def total(measured: Measured, order: Order, group: Group) -> Estimate | None:
    """What separates two facts of a group."""
    return measured.estimates.find(order=order, group=group, quantity="total")


class Peak(NamedTuple):
    """A site chosen in one template, and its effects in the others, by group (nats)."""

    site: dict[str, Any]
    effects: dict[Group, Estimate]


def peak(measured: Measured, order: Order, at: str) -> Peak:
    """The attention or MLP output at the `source` or at `prompt_last` that restores most."""
    found = measured.estimates
    for row in found.where(order=order, reading="chosen").rows:
        if row.of["place"] in CHOSEN_AT[at]:
            effects = found.along("group", order=order, reading="elsewhere", place=at)
            return Peak(row.of, effects)
    raise MissingNumber(found.name(order=order, reading="chosen", place=at))


def sentence(measured: Measured, order: Order) -> str:
    """The best place at the source and the best where the answer begins, with their controls."""
    told, words = TOLD_ONLY[order], Words(measured.roles)
    if mapped(measured, order, told) == ["resid_post"]:
        return f"{words.asked_first(order)}, attention and MLPs were not told apart."
    apart = measured.estimates.of(order=order, reading="elsewhere", quantity="total")
    at_source, at_end = (peak(measured, order, at) for at in CHOSEN_AT)
    text = (
        f"{words.asked_first(order)}, {place(at_source, words.source(order))} restores "
        f"{spoken(at_source.effects[told])} of the {spoken(apart)} that separate two facts told "
        "that way"
    )
    controls = [
        f"{spoken(at_source.effects[group])} for facts told {how}"
        for group, how in {
            "both": "in both orders",
            TOLD_OTHERWISE[order]: "in the other order",
        }.items()
        if group in at_source.effects
    ]
    if controls:
        text += f" ({listed(controls)})"
    most, whole = at_end.effects[told], apart.value or 0.0
    if (most.value or 0.0) < HARDLY * whole:
        return (
            f"{text}; the output at the prompt’s last token that restores most in one template "
            f"restores {spoken(most)} in the others."
        )
    best = place(at_end, words.source(order), short=True)
    return f"{text}; at the prompt’s last token {best} restores most, {spoken(most)}."


def place(best: Peak, source: str, *, short: bool = False) -> str:
    component = f"{COMPONENT[best.site['component']]} {best.site['layer']}"
    return component if short else f"{component} at {token_words(source)[best.site['place']]}"


def token_words(source: str) -> dict[str, str]:
    return {
        "source_first": f"the {source}'s first token",
        "source_last": f"the {source}'s last token",
        "source_all": f"the whole {source}",
        "prompt_last": "the prompt's last token",
    }


def map_picture(run: Run, measured: Measured, order: Order) -> Picture:
    """Shares of the told-in-this-order total, three conditions side by side."""
    told = TOLD_ONLY[order]
    titles = {told: "told this way", "both": "in both", TOLD_OTHERWISE[order]: "other way"}
    groups = [group for group in titles if total(measured, order, group)]
    whole, quantity = colours_of(measured, order, groups)
    maps = [one_map(measured, order, group, titles[group], whole) for group in groups]
    words = Words(measured.roles)
    source = words.source(order)
    labels = [f"{source}, first", f"{source}, last", f"{source}, all", "prompt, last"]
    rows = [Rows(COMPONENT[component], labels) for component in mapped(measured, order, told)]
    return picture(
        run,
        f"patching_map_{order}",
        lambda theme: heatmap_figure(maps, rows, theme, quantity=quantity),
        title=words.asked_first(order),
        alt=f"{words.asked_first(order)}: effects of patching. {sentence(measured, order)}",
        caption=(
            "Mean effect over facts of patching one component of one layer at one token (or at "
            "all tokens of the source), as a share of what separates two facts that were told in "
            "this order. Points: further from zero than chance allows (5 % false discoveries, "
            "Benjamini–Hochberg). Grey: the causal mask leaves no effect possible."
        ),
    )


def colours_of(measured: Measured, order: Order, groups: list[Group]) -> tuple[float, str]:
    """What 100 % of the colours is: the total, unless its interval includes zero."""
    whole = total(measured, order, TOLD_ONLY[order])
    if whole and whole.value is not None and whole.low is not None and whole.low > 0:
        return whole.value, f"share of {whole.value:.1f} nat"
    sites = [site for group in groups for row in cells(measured, order, group) for site in row]
    largest = max(abs(effect_of(measured, site) or 0.0) for site in sites) or 1.0
    return largest, f"effect; 100 % is {largest:.2g} nat"


def effect_of(measured: Measured, site: dict[str, Any]) -> float | None:
    """None where the causal mask leaves none, and so no estimate."""
    found = measured.estimates.find(**site)
    return None if found is None else found.value or 0.0


def cells(measured: Measured, order: Order, group: Group) -> list[list[dict[str, Any]]]:
    """The sites, by component and place, layer by layer."""
    of = {"order": order, "group": group}
    components = mapped(measured, order, group)
    at_end = {"component": components[0], "place": "prompt_last"}
    layers = measured.estimates.along("layer", **of, **at_end)
    return [
        [{**of, "component": component, "layer": layer, "place": place} for layer in layers]
        for component, place in product(components, PLACES)
    ]


def one_map(measured: Measured, order: Order, group: Group, title: str, scale: float) -> Map:
    sites = cells(measured, order, group)
    effects = [[effect_of(measured, site) for site in row] for row in sites]
    found = {test.name for test in measured.tests if is_discovery(test)}
    return Map(
        title,
        np.array([[(effect or 0.0) / scale for effect in row] for row in effects]),
        np.array([[effect is None for effect in row] for row in effects]),
        np.array([[measured.estimates.name(**site) in found for site in row] for row in sites]),
    )


def mapped(measured: Measured, order: Order, group: Group) -> list[Component]:
    """Of some models the stream alone is known."""
    of = {"order": order, "group": group, "layer": 0, "place": "prompt_last"}
    return [c for c in MAPPED if measured.estimates.find(**of, component=c)]


def noise_note(measured: Measured) -> str:
    floor = measured.estimates.of(quantity="noise_floor").value or 0.0
    return f"Rounding alone can move a prompt by {floor:.1g} nat."
