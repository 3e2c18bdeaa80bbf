"""The page's section on whether B's representation gained A, by probes."""

from itertools import product

from interp_rc.display.figures.profile import Line, Panel, profile_figure
from interp_rc.display.lookup import by_layers
from interp_rc.display.section import Picture, Section, Table, picture
from interp_rc.display.vocabulary import PLACE, Words, told
from interp_rc.display.wording import spoken, without_unit
from interp_rc.measures.probe.measure import NAME
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
            "on; the right one of all entities of the subset must come first. The logit lens "
            "reads the same stream with the model’s own output rows: a probe that gains nothing "
            "over it re-reads what the model is about to say. The layer is chosen on other facts."
        ),
    )


def sentence(measured: Measured) -> str:
    """Where the answer begins: the reverse-told facts, the control, and the shuffled floor."""
    parts, words = [], Words(measured.roles)
    for order in reversed(ORDERS):
        reverse, both, floor = (
            measured.estimates[f"probe.{model}.{order}.{subset}.prompt_last.accuracy"]
            for model, subset in (
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


def panel(measured: Measured, order: Order, position: Position) -> Panel:
    lines = []
    for subset in sorted(TRAINED, key=lambda s: (s == TOLD_OTHERWISE[order], s == "both")):
        label, asked = told(subset, order)
        start = f"{NAME}.finetuned.{order}.{subset}.{position}"
        for what, faint in (("accuracy", False), ("lens", True)):
            estimates = by_layers(measured, f"{start}.layer_{{}}.{what}")
            lines.append(Line(f"{label}, lens" if faint else label, asked, estimates, faint))
    facts = measured.estimates[f"{NAME}.finetuned.{order}.both.{position}.accuracy"].n
    title = f"{Words(measured.roles).sought(order)}, {PLACE[position]}"
    return Panel(title, lines, 1 / facts)


def looked_at(measured: Measured) -> list[Position]:
    """Where the answer begins first."""
    start = f"{NAME}.finetuned.{ORDERS[0]}.both"
    return [p for p in reversed(EVERYWHERE) if f"{start}.{p}.accuracy" in measured.estimates]


def numbers(measured: Measured) -> Table:
    """Percent with intervals; the gain in standard deviations of the candidates' scores."""
    rows = []
    for order, position, subset in product(reversed(ORDERS), looked_at(measured), TRAINED):
        place = f"{order}.{subset}.{position}"
        cells = [
            measured.estimates[f"probe.{model}.{place}.{what}"]
            for model, what in (
                ("finetuned", "accuracy"),
                ("finetuned", "lens"),
                ("finetuned", "z_gain"),
                ("shuffled", "accuracy"),
                ("untrained", "accuracy"),
            )
        ]
        sought = f"{Words(measured.roles).sought(order)}, {PLACE[position]}"
        rows.append([sought, told(subset, order)[0], *map(without_unit, cells)])
    return Table("Probes at the chosen layer: found [%]", COLUMNS, rows, COLUMNS[2:])
