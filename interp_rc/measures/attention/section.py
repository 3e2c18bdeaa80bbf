"""The page's section on where the answer's position looks, and what that is worth."""

from itertools import product

from interp_rc.display.figures.profile import Line, Panel, profile_figure
from interp_rc.display.lookup import look_up, look_up_place
from interp_rc.display.section import Picture, Section, Table, picture
from interp_rc.display.vocabulary import Words, told
from interp_rc.display.wording import TIE, listed, number, probability, spoken
from interp_rc.measures.attention.measure import CHOSEN
from interp_rc.records.nouns import ORDERS, TOLD_ONLY, TOLD_OTHERWISE, TRAINED, Order, Subset
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured, Run

NOTHING = Estimate(None, None, None, 0, "nat")
COLUMNS = ["asked", "head", "attention [%]", "share of norms [%]", "uniform [%]"]


def section(run: Run, measured: Measured) -> Section:
    title = "Where the answer looks, and what that is worth"
    orders = [o for o in ORDERS if f"attention_cut.{o}.{TOLD_ONLY[o]}.source.all" in
              measured.estimates]  # fmt: skip
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


def _tested(measured: Measured, orders: list[Order]) -> str:
    """Whether the source costs more than the others, in all layers."""
    tests = {test.name: test for test in measured.tests}
    said = [
        f"{Words(measured.roles).asked_first(order).lower()} p = {probability(test.p_adjusted)}"
        for order in orders
        if (test := tests.get(f"attention_cut.{order}.{TOLD_ONLY[order]}.all")) is not None
        and test.p_adjusted is not None
    ]
    if not said:
        return ""
    text = listed(said).replace("= <", "<")
    return f" Does the source cost more than the others, in all layers? (Paired t, Holm: {text}.)"


def sentence(measured: Measured, order: Order) -> str:
    own, other = TOLD_ONLY[order], TOLD_OTHERWISE[order]
    given, uniform = (
        look_up(measured, f"attention.{order}.{own}.answer.source.all.{column}")
        for column in ("weight", "uniform")
    )
    words = Words(measured.roles)
    text = (
        f"{words.asked_first(order)}, the tokens that say the answer give the "
        f"{words.source(order)} {spoken(given)} of their attention (uniform: "
        f"{number(100 * (uniform.value or 0), 1)}{TIE}%)"
    )
    whole = measured.estimates[f"attention_cut.{order}.{own}.source.all.over_foil"]
    controls = []
    others = f"attention_cut.{order}.{own}.others"
    if f"{others}.all" in measured.estimates:
        source = measured.estimates[f"attention_cut.{order}.{own}.source.tokens"].value
        count = measured.estimates[f"{others}.tokens"].value
        controls.append(
            f"{number(count, 1)} other tokens instead of {number(source, 1)}: "
            f"{spoken(measured.estimates[f'{others}.all.over_foil'])}"
        )
    reverse = measured.estimates.get(f"attention_cut.{order}.{other}.source.all.over_foil")
    if reverse is not None:
        controls.append(f"facts told in the other order: {spoken(reverse)}")
    text += f"; cut off from it in every layer, the answer loses {spoken(whole)} over another’s"
    text += f" ({'; '.join(controls)})" if controls else ""
    [layer] = look_up_place(measured, f"attention_cut.{order}.{own}.source.chosen")
    cost = look_up(measured, f"attention_cut.{order}.{own}.source.elsewhere.over_foil")
    return f"{text}, around layer {layer} alone {spoken(cost)}."


def by_layer(run: Run, measured: Measured, orders: list[Order]) -> Picture:
    panels = [panel(measured, order, cut) for cut in (False, True) for order in orders]
    if len(orders) == 1:  # each in a row of its own
        panels = [panels[0], panels[0], panels[1], panels[1]]
    layers = [str(layer) for layer in range(_layers(measured))]
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


def _layers(measured: Measured) -> int:
    names = [n.split(".") for n in measured.estimates if n.startswith("attention_cut.")]
    return 1 + max(int(name[-1]) for name in names if name[-1].isdigit())


def panel(measured: Measured, order: Order, cut: bool) -> Panel:
    lines = []

    def line(label: str, asked: str, name: str, faint: bool = False) -> None:
        estimates = [
            measured.estimates.get(name.format(layer=n), NOTHING) for n in range(_layers(measured))
        ]
        if any(e.value is not None for e in estimates):
            lines.append(Line(label, asked, estimates, faint))

    for subset in sorted(TRAINED, key=lambda s: (s == TOLD_OTHERWISE[order], s == "both")):
        label, asked = told(subset, order)
        line(label, asked, _name(order, subset, "source", cut))
    own = TOLD_ONLY[order]
    control = _name(order, own, "others", cut)
    line("control", "same", control if cut else f"attention.{order}.{own}.answer.source.uniform",
         faint=True)  # fmt: skip
    what = Words(measured.roles).asked(order)
    return Panel(f"{'cut' if cut else 'attention'}, {what}", lines)


def _name(order: Order, subset: Subset, keys: str, cut: bool) -> str:
    if cut:
        return f"attention_cut.{order}.{subset}.{keys}.{{layer}}.over_foil"
    return f"attention.{order}.{subset}.answer.{keys}.{{layer}}.weight"


def heads_table(measured: Measured, orders: list[Order]) -> Table:
    """Those that give the source most of what they move, measured where they were not chosen."""
    rows = []
    for order, rank in product(orders, range(1, CHOSEN + 1)):
        name = f"attention.{order}.head_chosen_{rank}"
        if rank > 1 and not any(n.startswith(f"{name}.") for n in measured.estimates):
            continue  # a model of fewer heads
        layer, head = look_up_place(measured, name)
        cells = [
            spoken(look_up(measured, f"{name}_elsewhere.{column}")).replace(f"{TIE}%", "")
            for column in ("weight", "norm_share", "uniform")
        ]
        rows.append([Words(measured.roles).asked(order), f"{head} of layer {layer}", *cells])
    return Table("Heads that look at the source most, where the answer is said", COLUMNS, rows,
                 COLUMNS[2:])  # fmt: skip
