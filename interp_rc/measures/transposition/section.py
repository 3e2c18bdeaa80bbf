"""The page's section on whether values written for one entity act as keys for the other."""

from collections.abc import Sequence

from interp_rc.display.figures.profile import Line, Panel, profile_figure
from interp_rc.display.section import Picture, Section, Table, picture
from interp_rc.display.vocabulary import Words, told
from interp_rc.display.wording import TIE, number, probability, spoken
from interp_rc.measures.transposition.measure import NAME
from interp_rc.measures.transposition.recall import READINGS, Reading
from interp_rc.records.nouns import ORDERS, TOLD_ONLY, TOLD_OTHERWISE, TRAINED, Order, Subset
from interp_rc.records.numbers import Test
from interp_rc.records.runs import Measured, Run

TITLE = "Do the values written for one entity act as keys for the other?"
SAID: dict[Reading, str] = {
    "fitted": "W k against v",
    "transposed": "Wᵀ v against k",
    "value_as_key": "v against the other’s key",
    "recalled": "Wᵀ of the other’s key against k",
    "neurons_recalled": "values as keys of the other",
}
PANELS: tuple[Reading, ...] = ("fitted", "value_as_key")


def section(run: Run, measured: Measured) -> Section:
    orders = [
        o for o in ORDERS if f"{NAME}.finetuned.{o}.{TOLD_ONLY[o]}.fitted.z" in measured.estimates
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
            "the subset’s facts; its strength is in standard deviations of the candidates’ scores. "
            "The fitted map and its transpose stay with one entity and show that the readings can "
            "find something, though not of what was learnt: the base model has such maps, too. "
            "The others cross over to what is read where the other entity stands. If facts told in "
            "both orders show no more there than those told in one, it does not take such a memory "
            "to be answered both ways."
        ),
    )


def name_of(order: Order, subset: Subset, reading: Reading) -> str:
    """Of the mean over layers."""
    return f"{NAME}.finetuned.{order}.{subset}.{reading}.z"


def sentence(measured: Measured, order: Order) -> str:
    def z(subset: Subset, reading: Reading) -> str:
        return spoken(measured.estimates[name_of(order, subset, reading)])

    this, words = TOLD_ONLY[order], Words(measured.roles)
    text = (
        f"What is written where the {words.source(order)} is read, taken for the key that the "
        f"other entity brings, finds it by {z(this, 'value_as_key')} for facts told this way"
    )
    if name_of(order, "both", "value_as_key") in measured.estimates:
        text += f" and {z('both', 'value_as_key')} for facts told in both orders"
    return f"{text}; the map fitted within one entity, by {z(this, 'fitted')}."


def by_layer(run: Run, measured: Measured, orders: Sequence[Order]) -> Picture:
    start = f"{NAME}.finetuned."
    layers = sorted(
        {
            int(part.removeprefix("layer_"))
            for name in measured.estimates
            if name.startswith(start)
            for part in name.split(".")
            if part.startswith("layer_")
        }
    )
    panels = [
        Panel(
            f"{SAID[reading]}, {Words(measured.roles).source(order)} read",
            panel_lines(measured, order, reading, layers),
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


def panel_lines(
    measured: Measured, order: Order, reading: Reading, layers: list[int]
) -> list[Line]:
    lines = []
    for subset in sorted(TRAINED, key=lambda s: (s == TOLD_OTHERWISE[order], s == "both")):
        label, asked = told(subset, order)
        for model, faint in (("finetuned", False), ("base", True)):
            names = [f"{NAME}.{model}.{order}.{subset}.{reading}.layer_{n}.z" for n in layers]
            if all(name in measured.estimates for name in names):
                found = [measured.estimates[name] for name in names]
                lines.append(Line(f"{label}, base" if faint else label, asked, found, faint))
    return lines


def numbers(measured: Measured) -> Table:
    rows = []
    for order in ORDERS:
        for subset in TRAINED:
            names = [name_of(order, subset, reading) for reading in READINGS]
            if all(name in measured.estimates for name in names):
                cells = [
                    spoken(measured.estimates[name]).replace(f"{TIE}standard{TIE}deviation", "")
                    for name in names
                ]
                rows.append(
                    [f"{Words(measured.roles).source(order)} read", told(subset, order)[0], *cells]
                )
    columns = ["", "told", *(SAID[reading] for reading in READINGS)]
    return Table("Strength, mean over layers [SD]", columns, rows, columns[2:])


def tests(measured: Measured) -> Table:
    words = Words(measured.roles)
    rows = [
        [_place(test, words), test.test, number(test.margin), probability(test.p_adjusted)]
        for test in measured.tests
    ]
    columns = ["told, and reading", "test", "margin [SD]", "p (Holm)"]
    caption = "Nothing for facts told one way; more than nothing for facts told both ways?"
    return Table(caption, columns, rows, columns[2:])


def _place(test: Test, words: Words) -> str:
    _, order, subset, reading, _ = test.name.split(".")
    said = {str(key): text for key, text in SAID.items()}
    return f"{words.source(order)} read, {words.told(subset)}: {said[reading]}"
