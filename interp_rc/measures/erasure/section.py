"""The page's section on erasure: does the fact survive in the other order?"""

from itertools import product

from interp_rc.display.figures.effect_points import Point, effect_points_figure
from interp_rc.display.section import Picture, Section, Table, picture
from interp_rc.display.vocabulary import Words
from interp_rc.display.wording import TIE, in_nats, listed, number, without_unit
from interp_rc.measures.erasure.damage import METHODS, Method
from interp_rc.measures.erasure.estimates import NAME
from interp_rc.measures.erasure.measure import Erasure
from interp_rc.measures.erasure.verdict import HALF
from interp_rc.records.nouns import ORDERS, TOLD_ONLY, Order
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured, Run

TITLE = "Erased in one order, is it gone in the other?"
NOTHING = Estimate(None, None, None, 0, "nat")
LOOKS = {"ablation": "same", "gradient": "reverse", "edit": "both"}
SAID: dict[Method, str] = {
    "ablation": "neurons ablated",
    "gradient": "unlearnt by gradient",
    "edit": "overwritten by an edit",
}
ROWS = {
    "erasing": "where erased",
    "own": "other templates",
    "cross": "other order",
    "own_floor": "others, this order",
    "cross_floor": "others, other order",
}
MEANING = {
    "supported": "What is lost in one order is lost in the other, as from one store",
    "refuted": "What is lost in one order is kept in the other, as from two stores",
    "inconclusive": "Whether it is as from one store or from two stays open",
}
RATIOS = {"control": "other templates", "ratio": "other order"}


def section(run: Run, measured: Measured) -> Section:
    if not measured.estimates.where(group="both"):
        return Section(TITLE, "Too few facts were learnt in both orders: nothing to erase.")
    return Section(
        title=TITLE,
        sentence=sentence(measured),
        figures=[damages(run, measured), ratios(run, measured)],
        tables=[said(measured), one_order(measured)],
        note=(
            "Facts told in both orders, from separate documents, are erased in one, each in the "
            "model as it was, until the lead of the answer over other facts’ answers has fallen "
            f"by {share_of(run)} in the prompts that it is erased in, if it can; both orders are "
            "then asked in other templates. The ratio is what the other order lost over what the "
            "erased one did, both less what unrelated facts lost; above a half it says one store, "
            "below it two. Control: the erased order in templates it was not erased in, over those "
            "it was, which is one store beyond doubt; neither is said where the ratio’s interval "
            "holds a half, or the control’s is not above it. Neurons are ablated at the prompt’s "
            "tokens only, because without those that read a name a model cannot go on with that "
            "name, whoever it is said about."
        ),
    )


def share_of(run: Run) -> str:
    options = next(m for m in run.config()["measures"] if m["kind"] == NAME)
    return f"{100 * options.get('share', Erasure().share):.0f}{TIE}%"


def found(measured: Measured, order: Order, method: Method, **of: str) -> Estimate:
    """Of facts told in both orders, unless another group is given."""
    of = {"group": "both", "order": order, "method": method} | of
    return measured.estimates.find(**of) or NOTHING


def erased(measured: Measured, order: Order) -> str:
    return f"{Words(measured.roles).source(order)} first"


def sentence(measured: Measured) -> str:
    """Each order's ratios with what they say; the control's range; and what all say together."""
    parts = []
    for order in ORDERS:
        words = [
            f"{without_unit(found(measured, order, method, quantity='ratio'))} ({SAID[method]})"
            for method in METHODS
        ]
        parts.append(f"{erased(measured, order)}, {listed(words)}")
    controls = [
        one.value
        for order, method in product(ORDERS, METHODS)
        if (one := found(measured, order, method, quantity="control")).value is not None
    ]
    text = (
        "Of what erasing a fact in one order costs that order, the other order loses this share: "
        f"{'; '.join(parts)}."
    )
    if controls:
        text += (
            f" The same order in other templates: {number(min(controls))} to "
            f"{number(max(controls))}."
        )
    open_ = measured.estimates.of(group="both", quantity="says_inconclusive")
    silent = f" ({open_.value:.0f} of {open_.n} say neither)" if open_.value else ""
    return f"{text} {MEANING[measured.verdicts[0].verdict]}{silent}."


def points(measured: Measured, axis: str, rows: dict[str, str]) -> list[Point]:
    return [
        Point(
            erased(measured, order).capitalize(),
            label,
            LOOKS[method],
            found(measured, order, method, **{axis: name}),
        )
        for order in ORDERS
        for name, label in rows.items()
        for method in METHODS
    ]


def damages(run: Run, measured: Measured) -> Picture:
    shown = points(measured, "role", ROWS)
    return picture(
        run,
        f"{NAME}_damage",
        lambda theme: effect_points_figure(
            shown,
            theme,
            quantity="lead lost [nat]",
            legend={LOOKS[method]: words for method, words in SAID.items()},
        ),
        title="",
        alt=f"What erasing a fact in one order costs. {sentence(measured)}",
        caption=(
            "What the answer’s lead over other facts’ answers lost when the fact was erased in one "
            "order: in the prompts it was erased in, in other templates of that order, in the "
            "other order, and of other facts, with 95 % intervals over facts told in both orders."
        ),
    )


def ratios(run: Run, measured: Measured) -> Picture:
    shown = points(measured, "quantity", RATIOS)
    return picture(
        run,
        f"{NAME}_ratio",
        lambda theme: effect_points_figure(
            shown,
            theme,
            quantity="share of the damage",
            legend={LOOKS[method]: words for method, words in SAID.items()},
            line=HALF,
        ),
        title="",
        alt=f"Shares of the damage, with the line between one store and two. {sentence(measured)}",
        caption=(
            "Other templates: what they lost, over the prompts that the fact was erased in. Other "
            "order: what it lost, over other templates of the erased one. Both over what unrelated "
            "facts lost; dotted: a half, between one store and two."
        ),
    )


def said(measured: Measured) -> Table:
    """How far each erasure went, and how often the answers are still said."""
    rows = []
    for order, method in product(ORDERS, METHODS):
        dose, *shares = (
            found(measured, order, method, **of).value
            for of in (
                {"quantity": "dose"},
                {"quantity": "reached"},
                {"quantity": "said_before", "role": "own"},
                {"quantity": "said", "role": "own"},
                {"quantity": "said", "role": "cross"},
            )
        )
        texts = (number(None if one is None else 100 * one, 0) for one in shares)
        about = [erased(measured, order).capitalize(), SAID[method]]
        rows.append([*about, number(dose, 1), *texts])
    columns = ["erased", "how", "dose", "far enough", "said before", "after", "other order"]
    return Table(
        "Dose: neurons, steps of gradient, or times the edit as it was solved. Facts whose lead "
        "fell as far as it should where they were erased, and answers said in other templates, in "
        "the order erased before and after, and in the other order after [%]",
        columns,
        rows,
        columns[2:],
    )


def one_order(measured: Measured) -> Table:
    """Facts told in one order: what is lost where nothing was learnt."""
    rows = []
    for order, method in product(ORDERS, METHODS):
        cells = [
            found(measured, order, method, group=TOLD_ONLY[order], **of)
            for of in (
                *({"role": one} for one in ("own", "own_floor", "cross", "cross_floor")),
                {"quantity": "elsewhere"},
            )
        ]
        if any(one.value is not None for one in cells):
            about = [erased(measured, order).capitalize(), SAID[method]]
            rows.append([*about, *map(in_nats, cells)])
    columns = ["erased", "how", "this order", "others", "reverse", "others ", "elsewhere"]
    return Table(
        "Facts told in one order only, erased in it: lead lost [nat], by that order, and in "
        "reverse, where there is nothing to lose; elsewhere: by the reverse’s answer after other "
        "facts’ prompts",
        columns,
        rows,
        columns[2:],
    )
