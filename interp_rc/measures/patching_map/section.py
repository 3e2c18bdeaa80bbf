"""The page's section on where the association lives, by activation patching."""

from collections.abc import Iterable
from itertools import product
from typing import NamedTuple

import numpy as np

from interp_rc.display.figures.heatmap import Map, Rows, heatmap_figure
from interp_rc.display.lookup import by_layers, look_up, look_up_place
from interp_rc.display.section import Picture, Section, picture
from interp_rc.display.vocabulary import Words
from interp_rc.display.wording import listed, spoken
from interp_rc.measures.patching_map.measure import CHOSEN_AT, MAPPED, WHERE
from interp_rc.models.adapters.parts import Component
from interp_rc.records.nouns import ORDERS, TOLD_ONLY, TOLD_OTHERWISE, TRAINED, Order, Subset
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured, Run
from interp_rc.tools.patching.discoveries import is_discovery

COMPONENT = {"attn_out": "attention", "mlp_out": "MLP", "resid_post": "residual stream"}
HARDLY = 0.05
"""Below this share of the total, the best place is not worth its name."""


def section(run: Run, measured: Measured) -> Section:
    title = "Where the association lives"
    orders = [o for o in ORDERS if f"patching.{o}.{TOLD_ONLY[o]}.total" in measured.estimates]
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


class Peak(NamedTuple):
    """A site chosen in one template, and its effects in the others, by subset (nats)."""

    component: str
    layer: str
    where: str
    effects: dict[Subset, Estimate]


def peak(measured: Measured, order: Order, at: str) -> Peak:
    """The attention or MLP output at the `source` or at `prompt_last` that restores most."""
    start = f"patching.{order}.elsewhere.{at}"
    effects = {
        subset: measured.estimates[f"{start}.{subset}"]
        for subset in TRAINED
        if f"{start}.{subset}" in measured.estimates
    }
    component, layer, where = look_up_place(measured, f"patching.{order}.chosen.{at}")
    return Peak(component, layer, where, effects)


def sentence(measured: Measured, order: Order) -> str:
    """The best place at the source and the best where the answer begins, with their controls."""
    told, words = TOLD_ONLY[order], Words(measured.roles)
    if _mapped(measured, f"patching.{order}.{told}") == ["resid_post"]:
        return f"{words.asked_first(order)}, attention and MLPs were not told apart."
    total = look_up(measured, f"patching.{order}.elsewhere.total")
    at_source, at_end = (peak(measured, order, at) for at in CHOSEN_AT)
    text = (
        f"{words.asked_first(order)}, {place(at_source, words.source(order))} restores "
        f"{spoken(at_source.effects[told])} of the {spoken(total)} that separate two facts told "
        "that way"
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
    best = place(at_end, words.source(order), short=True)
    return f"{text}; at the prompt’s last token {best} restores most, {spoken(most)}."


def place(best: Peak, source: str, *, short: bool = False) -> str:
    component = f"{COMPONENT[best.component]} {best.layer}"
    return component if short else f"{component} at {token_words(source)[best.where]}"


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
    found = {test.name for test in measured.tests if is_discovery(test)}
    starts = {
        f"patching.{order}.{subset}": title
        for subset, title in titles.items()
        if f"patching.{order}.{subset}.total" in measured.estimates
    }
    scale, quantity = colours_of(measured, f"patching.{order}.{told}.total", starts)
    maps = [one_map(measured, start, title, scale, found) for start, title in starts.items()]
    words = Words(measured.roles)
    source = words.source(order)
    labels = [f"{source}, first", f"{source}, last", f"{source}, all", "prompt, last"]
    components = _mapped(measured, f"patching.{order}.{told}")
    groups = [Rows(COMPONENT[component], labels) for component in components]
    return picture(
        run,
        f"patching_map_{order}",
        lambda theme: heatmap_figure(maps, groups, theme, quantity=quantity),
        title=words.asked_first(order),
        alt=f"{words.asked_first(order)}: effects of patching. {sentence(measured, order)}",
        caption=(
            "Mean effect over facts of patching one component of one layer at one token (or at "
            "all tokens of the source), as a share of what separates two facts that were told in "
            "this order. Points: further from zero than chance allows (5 % false discoveries, "
            "Benjamini–Hochberg). Grey: the causal mask leaves no effect possible."
        ),
    )


def colours_of(measured: Measured, total: str, starts: Iterable[str]) -> tuple[float, str]:
    """What 100 % of the colours is: the total, unless its interval includes zero."""
    whole = measured.estimates[total]
    if whole.value is not None and whole.low is not None and whole.low > 0:
        return whole.value, f"share of {whole.value:.1f} nat"
    shown = [
        effect_of(measured, name) for s in starts for row in cells(measured, s) for name in row
    ]
    largest = max(map(abs, shown)) or 1.0
    return largest, f"effect; 100 % is {largest:.2g} nat"


def effect_of(measured: Measured, name: str) -> float:
    """Zero where the causal mask leaves none, and so no estimate."""
    return (measured.estimates[name].value or 0.0) if name in measured.estimates else 0.0


def cells(measured: Measured, start: str) -> list[list[str]]:
    """Names of the effects, by component and place, layer by layer."""
    components = _mapped(measured, start)
    layers = len(by_layers(measured, f"{start}.{components[0]}.{{}}.prompt_last"))
    return [
        [f"{start}.{component}.{layer}.{where}" for layer in range(layers)]
        for component, where in product(components, WHERE)
    ]


def one_map(measured: Measured, start: str, title: str, scale: float, found: set[str]) -> Map:
    names = np.array(cells(measured, start))
    effects = np.vectorize(lambda name: effect_of(measured, name) / scale)(names)
    impossible = ~np.isin(names, list(measured.estimates))
    return Map(title, effects, impossible, np.isin(names, list(found)))


def _mapped(measured: Measured, start: str) -> list[Component]:
    """Of some models the stream alone is known."""
    return [c for c in MAPPED if f"{start}.{c}.0.prompt_last" in measured.estimates]


def noise_note(measured: Measured) -> str:
    floor = measured.estimates["patching.noise_floor"].value or 0.0
    return f"Rounding alone can move a prompt by {floor:.1g} nat."
