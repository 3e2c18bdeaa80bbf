"""The page's section on whether values written for one entity act as keys for the other."""

from collections.abc import Sequence
from itertools import product
from typing import Any

from interp_rc.display.figures.profile import Line, Panel, profile_figure
from interp_rc.display.section import Picture, Section, Table, picture
from interp_rc.display.vocabulary import Words, told
from interp_rc.display.wording import number, probability, spoken, without_unit
from interp_rc.measures.transposition.measure import NAME
from interp_rc.measures.transposition.recall import CROSS, READINGS, Reading
from interp_rc.records.nouns import ORDERS, TOLD_ONLY, TOLD_OTHERWISE, TRAINED, Group, Order
from interp_rc.records.runs import Measured, Run

TITLE = "Do the values written for one entity act as keys for the other?"
SAID: dict[Reading, str] = {
    "fitted": "W k against v",
    "transposed": "Wᵀ v against k",
    "value_as_key": "v against the other’s key",
    "recalled": "Wᵀ of the other’s key against k",
    "neurons_recalled": "values as keys of the other",
}
KEYS: Reading = "value_as_key"
PANELS: tuple[Reading, ...] = ("fitted", KEYS)


def section(run: Run, measured: Measured) -> Section:
    orders = [
        order
        for order in ORDERS
        if measured.estimates.find(**strength(order, TOLD_ONLY[order], "fitted"))
    ]
    if not orders:
        return Section(TITLE, "There are no facts told in one order.", tables=[numbers(measured)])
    return Section(
        title=TITLE,
        sentence=" ".join(sentence(measured, order) for order in orders),
        figures=[by_layer(run, measured, orders)],
        tables=[numbers(measured), tests(measured)],
        note=(
            "k is what a layer’s MLP reads at the entity, v what it writes there; W is the linear "
            "map v = W k fitted on other facts. A linear memory of pairs could be asked either "
            "way: its transpose leads from value to key. Each reading must find the right one of "
            "the group’s facts; its strength is in standard deviations of the candidates’ scores. "
            "The fitted map and its transpose stay with one entity and show that the readings can "
            "find something, though not of what was learnt: the base model has such maps, too. "
            "The others cross over to what is read where the other entity stands. If facts told in "
            "both orders show no more there than those told in one, it does not take such a memory "
            "to be answered both ways."
        ),
    )


def strength(order: Order, group: Group, reading: Reading) -> dict[str, Any]:
    """What the strength, mean over layers, is of."""
    of = {"model": "finetuned", "order": order, "group": group, "reading": reading}
    return of | {"quantity": "z"}


def sentence(measured: Measured, order: Order) -> str:
    this, words, found = TOLD_ONLY[order], Words(measured.roles), measured.estimates
    text = (
        f"What is written where the {words.source(order)} is read, taken for the key that the "
        f"other entity brings, finds it by {spoken(found.of(**strength(order, this, KEYS)))} for "
        "facts told this way"
    )
    if both := found.find(**strength(order, "both", KEYS)):
        text += f" and {spoken(both)} for facts told in both orders"
    fitted = found.of(**strength(order, this, "fitted"))
    return f"{text}; the map fitted within one entity, by {spoken(fitted)}."


def by_layer(run: Run, measured: Measured, orders: Sequence[Order]) -> Picture:
    layers = sorted(measured.estimates.each("layer"))
    panels = [
        Panel(
            f"{SAID[reading]}, {Words(measured.roles).source(order)} read",
            panel_lines(measured, order, reading),
            0.0,
        )
        for reading in PANELS
        for order in reversed(orders)
    ]
    return picture(
        run,
        NAME,
        lambda theme: profile_figure(
            panels,
            [str(layer) for layer in layers],
            theme,
            quantity="strength [SD]",
            across="layer",
        ),
        title="",
        alt=f"Strength by layer. {sentence(measured, orders[0])}",
        caption=(
            "How many standard deviations above the other candidates the right one is, layer by "
            "layer, with 95 % intervals over facts. Above: W, fitted on other facts, from key to "
            "value of the same entity. Below: the value written for one entity against the key "
            "that the other brings. Dashed: the base model. Dotted: nothing."
        ),
    )


def panel_lines(measured: Measured, order: Order, reading: Reading) -> list[Line]:
    lines = []
    for group in sorted(TRAINED, key=lambda s: (s == TOLD_OTHERWISE[order], s == "both")):
        label, asked = told(group, order)
        for model, faint in (("finetuned", False), ("base", True)):
            of = {"model": model, "order": order, "group": group, "reading": reading}
            if measured.estimates.where(**of):
                found = measured.estimates.along("layer", **of, quantity="z")
                text = f"{label}, base" if faint else label
                lines.append(Line(text, asked, [*found.values()], faint))
    return lines


def numbers(measured: Measured) -> Table:
    rows = []
    for order, group in product(ORDERS, TRAINED):
        cells = [measured.estimates.find(**strength(order, group, reading)) for reading in READINGS]
        if all(cells):
            read = f"{Words(measured.roles).source(order)} read"
            rows.append([read, told(group, order)[0], *(without_unit(one) for one in cells if one)])
    columns = ["", "told", *(SAID[reading] for reading in READINGS)]
    return Table("Strength, mean over layers [SD]", columns, rows, columns[2:])


def tests(measured: Measured) -> Table:
    found, words = {test.name: test for test in measured.tests}, Words(measured.roles)
    rows = []
    for order, reading in product(ORDERS, CROSS):
        for group in ("both", TOLD_ONLY[order]):
            if test := found.get(f"{NAME}.{order}.{group}.{reading}.z"):
                about = f"{words.source(order)} read, {words.told(group)}: {SAID[reading]}"
                p = probability(test.p_adjusted)
                rows.append([about, test.test, number(test.margin), p])
    columns = ["told, and reading", "test", "margin [SD]", "p (Holm)"]
    caption = "Nothing for facts told one way; more than nothing for facts told both ways?"
    return Table(caption, columns, rows, columns[2:])
