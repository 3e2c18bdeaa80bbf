"""The page's section on what a target's probability rests on, by integrated gradients."""

from itertools import product

from interp_rc.display.figures.profile import Line, Panel, profile_figure
from interp_rc.display.section import Picture, Section, Table, picture
from interp_rc.display.wording import number, spoken
from interp_rc.measures.integrated_gradients.measure import NAME, TABLE, WHERE
from interp_rc.measures.integrated_gradients.spans import ANSWER, REST
from interp_rc.models.adapters.parts import Place
from interp_rc.records.nouns import ORDERS, TOLD_ONLY, TOLD_OTHERWISE, Order, Subset
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured, Run
from interp_rc.tools.attribution.integrated_gradients import streams

SOUGHT = {"forward": "the description", "backward": "the name"}
SOURCE = {"forward": "name", "backward": "description"}
NOTHING = Estimate(None, None, None, 0, "nat")


def section(run: Run, measured: Measured) -> Section:
    title = "What the answer’s probability rests on"
    orders = [o for o in ORDERS if any(f"{NAME}.{o}." in name for name in measured.estimates)]
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


def estimate(
    measured: Measured, order: Order, subset: Subset, place: Place, where: str
) -> Estimate:
    name = f"{NAME}.{order}.{subset}.{place.component}.{place.layer}.{where}.bound"
    return measured.estimates.get(name, NOTHING)


def subsets_told(order: Order) -> tuple[tuple[Subset, str, str], ...]:
    """Subset, how its facts were told as seen from the order, and the direction of asking."""
    return (
        (TOLD_ONLY[order], "told this way", "same"),
        ("both", "told in both orders", "both"),
        (TOLD_OTHERWISE[order], "told the other way", "reverse"),
    )


def sentence(measured: Measured, order: Order, layers: int) -> str:
    """What the answer has over another fact's: of it, what begins at the source, and what is there
    at the end, where it all rests on the tokens that predict it."""
    first, *_, end = streams(layers)
    start, last = (first, WHERE[0]), (end, ANSWER)
    told = {
        words: (estimate(measured, order, subset, *start), estimate(measured, order, subset, *last))
        for subset, words, _ in subsets_told(order)
    }
    there = {words: both for words, both in told.items() if both[0].value is not None}
    if "told this way" not in there:
        return ""
    source, answer = there.pop("told this way")
    text = (
        f"Where {SOUGHT[order]} is asked for, what it has over another fact’s rests on the "
        f"{SOURCE[order]}’s embedding by {spoken(source)}, and behind the last layer on the tokens "
        f"that predict it by {spoken(answer)}"
    )
    others = [f"{words}: {spoken(one)} and {spoken(two)}" for words, (one, two) in there.items()]
    return f"{text} (facts {'; '.join(others)})." if others else f"{text}."


def by_layer(run: Run, measured: Measured, orders: list[Order], layers: int) -> Picture:
    panels = [
        Panel(
            f"{SOUGHT[order].removeprefix('the ')}, "
            + (f"at the {SOURCE[order]}" if where == "source" else "at the answer"),
            [
                Line(
                    words,
                    asked,
                    [estimate(measured, order, subset, at, where) for at in streams(layers)],
                )
                for subset, words, asked in subsets_told(order)
                if estimate(measured, order, subset, streams(layers)[0], where).value is not None
            ],
            chance=0.0,
        )
        for where, order in product(WHERE, reversed(orders))
    ]
    words = " ".join(sentence(measured, order, layers) for order in orders)
    return picture(
        run,
        NAME,
        lambda theme: profile_figure(
            panels, [str(n) for n in range(layers + 1)], theme, quantity="rests on it [nat]"
        ),
        title="",
        alt=f"Integrated gradients by layer. {words}",
        caption=(
            "What the target’s log-probability owes to the stream at the tokens of the source "
            "(above) and at the tokens that predict it (below), by the number of layers that the "
            "stream has passed (0: the embedding), more than another fact’s after the same prompt "
            "does; with 95 % intervals over pairs of facts. Told the other way is the control. "
            "Behind the last layer nothing reads the source."
        ),
    )


def numbers(measured: Measured, orders: list[Order], layers: int) -> Table:
    rows = [
        [
            SOUGHT[order].removeprefix("the "),
            words,
            {"source": SOURCE[order], REST: "all other tokens"}.get(where, "predicting tokens"),
            *(
                number(estimate(measured, order, subset, at, where).value, 1)
                for at in streams(layers)
            ),
        ]
        for order in reversed(orders)
        for where in (*WHERE, REST)
        for subset, words, _ in subsets_told(order)
    ]
    streams_read = [str(n) for n in range(layers + 1)]
    return Table(
        "What the answer owes more than another fact’s [nat], by layers read",
        ("sought", "facts", "at", *streams_read),
        rows,
        streams_read,
    )


def note(measured: Measured) -> str:
    floor = measured.estimates[f"{NAME}.floor"].value or 0.0
    short = measured.estimates[f"{NAME}.incomplete"].value or 0.0
    return (
        "Integrated gradients follow the log-probability from a stream that is everywhere the mean "
        "over all tokens to the actual one. What the answer owes is set against another fact’s "
        "after the same prompt, averaged over the prompts of both, so that what is likelier anyway "
        "falls out. The attributions of a layer add up to the whole change: steps are "
        "doubled until they do to within 1 %, which "
        f"{number(100 * short, 1)} % of prompts and layers did not reach; what is left can move a "
        f"mean by {number(floor, 2)} nat at the most."
    )
