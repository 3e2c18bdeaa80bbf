"""The page's section on whether B's representation gained A, by probes."""

from itertools import product

from interp_rc.display.figures.profile import Line, Panel, profile_figure
from interp_rc.display.section import Picture, Section, Table, picture
from interp_rc.display.vocabulary import PLACE, Words, told
from interp_rc.display.wording import spoken, without_unit
from interp_rc.records.nouns import ORDERS, TOLD_OTHERWISE, TRAINED, Order
from interp_rc.records.runs import Measured, Run
from interp_rc.tools.probing.streams import EVERYWHERE, Position

COLUMNS = ["sought", "told", "probe", "lens", "gain [SD]", "shuffled", "untrained"]


def section(run: Run, measured: Measured) -> Section:
    return Section(
        title="Did one entity’s representation gain the other?",
        sentence=sentence(measured),
        figures=[by_layer(run, measured)],
        tables=[numbers(measured)],
        note=(
            "A linear map from the residual stream to the other entity’s output vector, trained "
            "on facts told in that order or in both and read on facts that it was not trained "
            "on; the right one of all entities of the group must come first. The logit lens "
            "reads the same stream with the model’s own output rows: a probe that gains nothing "
            "over it re-reads what the model is about to say. The layer is chosen on other facts."
        ),
    )


def sentence(measured: Measured) -> str:
    """Where the answer begins: the reverse-told facts, the control, and the shuffled floor."""
    parts, words = [], Words(measured.roles)
    for order in reversed(ORDERS):
        reverse, both, floor = (
            measured.estimates.of(
                model=model, order=order, group=group, place="prompt_last", quantity="accuracy"
            )
            for model, group in (
                ("finetuned", TOLD_OTHERWISE[order]),
                ("finetuned", "both"),
                ("shuffled", "both"),
            )
        )
        parts.append(
            f"where the {words.source(order)} is read, a probe finds the {words.sought(order)} of "
            f"facts told the other way in {spoken(reverse)}, of facts told in both orders in "
            f"{spoken(both)} "
            f"(with shuffled labels {spoken(floor)})"
        )
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def by_layer(run: Run, measured: Measured) -> Picture:
    panels = [
        panel(measured, order, position)
        for position in looked_at(measured)
        for order in reversed(ORDERS)
    ]
    layers = [str(layer) for layer in range(len(panels[0].lines[0].estimates))]
    return picture(
        run,
        "probe",
        lambda theme: profile_figure(panels, layers, theme, quantity="found [%]", scale=100),
        title="",
        alt=f"Probe accuracy by layer. {sentence(measured)}",
        caption=(
            "Share of facts whose other entity is found, by the number of layers that the stream "
            "has passed (0: the embedding). Left: the name where the description is read; right: "
            "the description where the name is read; the upper panels where the answer begins, "
            "the lower ones at the entity that is read (its last token, its first or all of "
            "them). Solid: probe, with 95 % intervals over facts; dashed: logit lens at the same "
            "place; dotted: chance."
        ),
    )


def panel(measured: Measured, order: Order, place: Position) -> Panel:
    of = {"model": "finetuned", "order": order, "place": place}
    lines = []
    for group in sorted(TRAINED, key=lambda g: (g == TOLD_OTHERWISE[order], g == "both")):
        label, asked = told(group, order)
        for what, faint in (("accuracy", False), ("lens", True)):
            layers = measured.estimates.along("layer", **of, group=group, quantity=what)
            line = f"{label}, lens" if faint else label
            lines.append(Line(line, asked, [*layers.values()], faint))
    facts = measured.estimates.of(**of, group="both", quantity="accuracy").n
    return Panel(f"{Words(measured.roles).sought(order)}, {PLACE[place]}", lines, 1 / facts)


def looked_at(measured: Measured) -> list[Position]:
    """Where the answer begins first."""
    there = measured.estimates.each("place")
    return [place for place in reversed(EVERYWHERE) if place in there]


def numbers(measured: Measured) -> Table:
    """Percent with intervals; the gain in standard deviations of the candidates' scores."""
    rows = []
    for order, position, group in product(reversed(ORDERS), looked_at(measured), TRAINED):
        cells = [
            measured.estimates.of(
                model=model, order=order, group=group, place=position, quantity=quantity
            )
            for model, quantity in (
                ("finetuned", "accuracy"),
                ("finetuned", "lens"),
                ("finetuned", "z_gain"),
                ("shuffled", "accuracy"),
                ("untrained", "accuracy"),
            )
        ]
        sought = f"{Words(measured.roles).sought(order)}, {PLACE[position]}"
        rows.append([sought, told(group, order)[0], *map(without_unit, cells)])
    return Table("Probes at the chosen layer: found [%]", COLUMNS, rows, COLUMNS[2:])
