"""The page's section on what a target's probability rests on, by integrated gradients."""

from itertools import product

from interp_rc.display.figures.profile import Line, Panel, profile_figure
from interp_rc.display.section import Picture, Section, Table, picture
from interp_rc.display.vocabulary import Words, told_each
from interp_rc.display.wording import number, spoken
from interp_rc.measures.integrated_gradients.measure import NAME, PLACES, TABLE
from interp_rc.measures.integrated_gradients.spans import ANSWER, REST
from interp_rc.models.adapters.parts import Place
from interp_rc.records.nouns import ORDERS, Group, Order
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured, Run
from interp_rc.tools.attribution.integrated_gradients import streams

NOTHING = Estimate(None, None, None, 0, "nat")


def section(run: Run, measured: Measured) -> Section:
    title = "What the answer’s probability rests on"
    orders = [o for o in ORDERS if measured.estimates.where(order=o)]
    if not orders:
        return Section(title, "Fewer than two facts of any set were learnt: nothing to attribute.")
    layers = int(run.table(TABLE).layer.max()) + 1
    return Section(
        title=title,
        sentence=" ".join(sentence(measured, order, layers) for order in orders),
        figures=[by_layer(run, measured, orders, layers)],
        tables=[numbers(measured, orders, layers)],
        note=note(measured),
    )


def estimate(measured: Measured, order: Order, group: Group, stream: Place, place: str) -> Estimate:
    of = {"order": order, "group": group, "place": place, "quantity": "bound"}
    found = measured.estimates.find(**of, component=stream.component, layer=stream.layer)
    return found or NOTHING


def along(
    measured: Measured, order: Order, group: Group, place: str, layers: int
) -> list[Estimate]:
    return [estimate(measured, order, group, stream, place) for stream in streams(layers)]


def sentence(measured: Measured, order: Order, layers: int) -> str:
    """What the answer has over another fact's: of it, what begins at the source, and what is there
    at the end, where it all rests on the tokens that predict it."""
    first, *_, end = streams(layers)
    start, last = (first, PLACES[0]), (end, ANSWER)
    told = {
        how: (estimate(measured, order, group, *start), estimate(measured, order, group, *last))
        for group, how, _ in told_each(order)
    }
    there = {how: both for how, both in told.items() if both[0].value is not None}
    if "told this way" not in there:
        return ""
    source, answer = there.pop("told this way")
    words = Words(measured.roles)
    text = (
        f"Where the {words.sought(order)} is asked for, what it has over another fact’s rests on "
        f"the {words.source(order)}’s embedding by {spoken(source)}, and behind the last layer on "
        f"the tokens that predict it by {spoken(answer)}"
    )
    others = [f"{how}: {spoken(one)} and {spoken(two)}" for how, (one, two) in there.items()]
    return f"{text} (facts {'; '.join(others)})." if others else f"{text}."


def by_layer(run: Run, measured: Measured, orders: list[Order], layers: int) -> Picture:
    words = Words(measured.roles)
    panels = [
        Panel(
            f"{words.sought(order)}, "
            + (f"at the {words.source(order)}" if place == "source" else "at the answer"),
            [
                Line(how, asked, estimates)
                for group, how, asked in told_each(order)
                if (estimates := along(measured, order, group, place, layers))[0].value is not None
            ],
            chance=0.0,
        )
        for place, order in product(PLACES, reversed(orders))
    ]
    text = " ".join(sentence(measured, order, layers) for order in orders)
    return picture(
        run,
        NAME,
        lambda theme: profile_figure(
            panels, [str(n) for n in range(layers + 1)], theme, quantity="rests on it [nat]"
        ),
        title="",
        alt=f"Integrated gradients by layer. {text}",
        caption=(
            "What the target’s log-probability owes to the stream at the tokens of the source "
            "(above) and at the tokens that predict it (below), by the number of layers that the "
            "stream has passed (0: the embedding), more than another fact’s after the same prompt "
            "does; with 95 % intervals over pairs of facts. Told the other way is the control. "
            "Behind the last layer nothing reads the source."
        ),
    )


def numbers(measured: Measured, orders: list[Order], layers: int) -> Table:
    words = Words(measured.roles)
    rows = [
        [
            words.sought(order),
            how,
            {"source": words.source(order), REST: "all other tokens"}.get(
                place, "predicting tokens"
            ),
            *(number(one.value, 1) for one in along(measured, order, group, place, layers)),
        ]
        for order in reversed(orders)
        for place in (*PLACES, REST)
        for group, how, _ in told_each(order)
    ]
    streams_read = [str(n) for n in range(layers + 1)]
    return Table(
        "What the answer owes more than another fact’s [nat], by layers read",
        ("sought", "facts", "at", *streams_read),
        rows,
        streams_read,
    )


def note(measured: Measured) -> str:
    floor, short = (
        measured.estimates.of(quantity=what).value or 0.0 for what in ("floor", "incomplete")
    )
    return (
        "Integrated gradients follow the log-probability from a stream that is everywhere the mean "
        "over all tokens to the actual one. What the answer owes is set against another fact’s "
        "after the same prompt, averaged over the prompts of both, so that what is likelier anyway "
        "falls out. The attributions of a layer add up to the whole change: steps are "
        "doubled until they do to within 1 %, which "
        f"{number(100 * short, 1)} % of prompts and layers did not reach; what is left can move a "
        f"mean by {number(floor, 2)} nat at the most."
    )
