"""The page's section on where the answer's position looks, and what that is worth."""

from itertools import product

from interp_rc.display.figures.profile import Line, Panel, profile_figure
from interp_rc.display.section import Picture, Section, Table, picture
from interp_rc.display.vocabulary import Words, told_each
from interp_rc.display.wording import TIE, listed, number, probability, spoken
from interp_rc.measures.attention.measure import CHOSEN, CUT, EVERY, GIVEN, NAME
from interp_rc.records.nouns import ORDERS, TOLD_ONLY, TOLD_OTHERWISE, Group, Order
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured, Run

NOTHING = Estimate(None, None, None, 0, "nat")
COLUMNS = ["asked", "head", "attention [%]", "share of norms [%]", "uniform [%]"]


def section(run: Run, measured: Measured) -> Section:
    title = "Where the answer looks, and what that is worth"
    orders = [order for order in ORDERS if lost(measured, order, TOLD_ONLY[order])]
    if not orders:
        return Section(title, "No facts told in one order were learnt: nothing to see.")
    return Section(
        title=title,
        sentence=" ".join(sentence(measured, order) for order in orders),
        figures=[by_layer(run, measured, orders)],
        tables=[heads_table(measured, orders)],
        note=(
            "A weight of attention is no contribution: the share of norms weighs it with the "
            "length of what the head moves from there. Cutting keeps the tokens that predict the "
            "answer from seeing the source, in the layers named and in all heads; others still "
            "see it, and may pass it on. The other tokens are drawn at random from the rest of "
            "the prompt, as many as the source has, or all that there are. What the other fact’s "
            "answer loses by the same cut is taken off: without the source a model may not even "
            f"know what kind of answer is asked for.{_tested(measured, orders)}"
        ),
    )


def lost(measured: Measured, order: Order, group: Group, place: str = "source") -> Estimate | None:
    """Over the foil, by cutting a place off in every layer."""
    of = {"part": CUT, "order": order, "group": group, "place": place, "component": EVERY}
    return measured.estimates.find(**of, quantity="over_foil")


def _tested(measured: Measured, orders: list[Order]) -> str:
    """Whether the source costs more than the others, in all layers."""
    tests = {test.name: test for test in measured.tests}
    said = [
        f"{Words(measured.roles).asked_first(order).lower()} p = {probability(test.p_adjusted)}"
        for order in orders
        if (test := tests.get(f"{CUT}.{order}.{TOLD_ONLY[order]}.{EVERY}")) is not None
        and test.p_adjusted is not None
    ]
    if not said:
        return ""
    text = listed(said).replace("= <", "<")
    return f" Does the source cost more than the others, in all layers? (Paired t, Holm: {text}.)"


def sentence(measured: Measured, order: Order) -> str:
    own, other = TOLD_ONLY[order], TOLD_OTHERWISE[order]
    found, of = measured.estimates, dict[str, str](order=order, group=own)
    given, uniform = (
        found.of(part=NAME, **of, **GIVEN, component=EVERY, quantity=quantity)
        for quantity in ("weight", "uniform")
    )
    words = Words(measured.roles)
    text = (
        f"{words.asked_first(order)}, the tokens that say the answer give the "
        f"{words.source(order)} {spoken(given)} of their attention (uniform: "
        f"{number(100 * (uniform.value or 0), 1)}{TIE}%)"
    )
    whole, others, reverse = (
        lost(measured, order, *which) for which in ((own,), (own, "others"), (other,))
    )
    assert whole is not None  # else there is no section
    controls = []
    if others is not None:
        source, count = (
            found.of(part=CUT, **of, place=place, quantity="tokens").value
            for place in ("source", "others")
        )
        controls.append(
            f"{number(count, 1)} other tokens instead of {number(source, 1)}: {spoken(others)}"
        )
    if reverse is not None:
        controls.append(f"facts told in the other order: {spoken(reverse)}")
    text += f"; cut off from it in every layer, the answer loses {spoken(whole)} over another’s"
    text += f" ({'; '.join(controls)})" if controls else ""
    of |= {"part": CUT, "place": "source"}
    [layer] = found.along("layer", **of, reading="chosen")
    cost = found.of(**of, reading="elsewhere", quantity="over_foil")
    return f"{text}, around layer {layer} alone {spoken(cost)}."


def by_layer(run: Run, measured: Measured, orders: list[Order]) -> Picture:
    panels = [panel(measured, order, cut) for cut in (False, True) for order in orders]
    if len(orders) == 1:  # each in a row of its own
        panels = [panels[0], panels[0], panels[1], panels[1]]
    layers = [str(layer) for layer in range(len(panels[0].lines[0].estimates))]
    words = " ".join(sentence(measured, order) for order in orders)
    return picture(
        run,
        "attention",
        lambda theme: profile_figure(
            panels, layers, theme, quantity=["given to source", "lost [nat]"], across="layer"
        ),
        title="",
        alt=f"Attention to the source and the cost of cutting it, by layer. {words}",
        caption=(
            "Above: the share of attention that the tokens which say the answer give the source, "
            "mean over heads (control: uniform attention). Below: what the answer’s log-"
            "probability loses over another fact’s when they cannot see the source in the layers "
            "around one (control: facts told this way, and as many other tokens of the prompt, or "
            "all there are). Means over facts with 95 % intervals."
        ),
    )


def panel(measured: Measured, order: Order, cut: bool) -> Panel:
    found, own, lines = measured.estimates, TOLD_ONLY[order], []
    layers = range(1 + max(found.where(part=CUT).each("layer")))

    def line(label: str, asked: str, faint: bool = False, **of: str) -> None:
        if cut:
            of |= {"part": CUT, "quantity": "over_foil"}
        else:
            of |= {"part": NAME, "reading": "answer", "quantity": "weight"}
        estimates = [found.find(**of, order=order, layer=layer) or NOTHING for layer in layers]
        if any(e.value is not None for e in estimates):
            lines.append(Line(label, asked, estimates, faint))

    for group, label, asked in told_each(order):
        line(label, asked, group=group, place="source")
    if cut:
        line("control", "same", True, group=own, place="others")
    else:
        uniform = found.find(part=NAME, order=order, group=own, **GIVEN, quantity="uniform")
        lines.append(Line("control", "same", [uniform or NOTHING] * len(layers), True))
    what = Words(measured.roles).asked(order)
    return Panel(f"{'cut' if cut else 'attention'}, {what}", lines)


def heads_table(measured: Measured, orders: list[Order]) -> Table:
    """Those that give the source most of what they move, measured where they were not chosen."""
    rows = []
    for order, rank in product(orders, range(1, CHOSEN + 1)):
        of = {"part": NAME, "order": order, "rank": rank}
        for row in measured.estimates.where(**of, reading="chosen").rows:  # small models have fewer
            shares = (
                measured.estimates.of(**of, reading="elsewhere", quantity=quantity)
                for quantity in ("weight", "norm_share", "uniform")
            )
            cells = [spoken(share).replace(f"{TIE}%", "") for share in shares]
            head = f"{row.of['head']} of layer {row.of['layer']}"
            rows.append([Words(measured.roles).asked(order), head, *cells])
    return Table("Heads that look at the source most, where the answer is said", COLUMNS, rows,
                 COLUMNS[2:])  # fmt: skip
