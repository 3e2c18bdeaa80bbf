"""The page's section on weight transplants: which weights carry the facts?"""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from interp_rc.display.figures.curves import Curve, CurvePanel, curves_figure
from interp_rc.display.figures.profile import Line, Panel, profile_figure
from interp_rc.display.section import Picture, Section, Table, picture
from interp_rc.display.vocabulary import Words
from interp_rc.display.wording import in_nats, opposite, spoken
from interp_rc.measures.transplant.estimates import FEW, NAME, RANKS, SINGLE, SITES
from interp_rc.records.nouns import ORDERS, TOLD_ONLY, Order
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured, Run

TITLE = "Which weights carry the facts?"
ASKED = {"same": "asked as told", "reverse": "asked in reverse"}
ACTS = {"given": "Put in", "taken": "Taken out"}
BY_NUMBER = {"part": "by_number"}
NOTHING = Estimate(None, None, None, 0, "nat")


def section(run: Run, measured: Measured) -> Section:
    if not measured.estimates:
        return Section(TITLE, "No facts were learnt: there is nothing to move.")
    orders = [one for one in ORDERS if measured.estimates.find(**smallest(one, "all"))]
    figures = [by_site(run, measured)]
    picked = [one for one in orders if measured.estimates.find(**smallest(one, "greedy"))]
    if picked:
        figures.append(by_number(run, measured, picked))
    if RANKS in measured.tables:
        figures.append(by_rank(run, measured))
    return Section(
        title=TITLE,
        sentence=" ".join([*(sentence(measured, o) for o in orders), alone(measured)]),
        figures=figures,
        tables=[outside(measured), chosen(run, measured, orders), compared(measured, orders)],
        note=(
            "A fact is what the log-probability of its answer is above that of the same answer "
            "after another one’s prompt: weights that only make all answers of these facts likely "
            "carry no fact. Weights of the finetuned model are put into the base (is the site "
            "enough?), and the base’s into the finetuned model (is it needed?). Sets are chosen on "
            "half of the facts, greedily, so a smaller one may exist, and measured on the other "
            "half; the embedding and the output rows, though tied, are moved apart. As many "
            "matrices at random have fewer weights than the chosen ones: "
            "compare also with sets of at most as many weights, which may hold chosen ones. What "
            "is taken out is judged by the lead of the answer over another fact’s after the same "
            "prompt, since an answer that is nearly certain can stay so. The part that brings or "
            "costs most was picked on these very facts."
        ),
    )


def smallest(order: Order, kind: str, role: str = "told") -> dict[str, str]:
    """What the effect of a set of sites is of."""
    return {"part": "smallest", "order": order, "set": kind, "role": role}


def found(measured: Measured, **of: Any) -> Estimate:
    return measured.estimates.find(**of) or NOTHING


def told(measured: Measured, order: Order) -> str:
    return Words(measured.roles).told(TOLD_ONLY[order])


def sentence(measured: Measured, order: Order) -> str:
    def of(kind: str, role: str = "told") -> str:
        return spoken(found(measured, **smallest(order, kind, role)))

    if not measured.estimates.find(**smallest(order, "greedy")):
        return (
            f"Of facts {told(measured, order)}, all weights bring {of('all')}: nothing to choose."
        )
    sites = {"part": "smallest", "order": order, "set": "greedy", "quantity": "sites"}
    number = found(measured, **sites).value or 0
    text = (
        f"Of facts {told(measured, order)}, the {number:.0f} matrices chosen on half of them bring "
        f"{of('greedy')} of the other half into the base, of {of('all')} that all weights bring; "
        f"as many at random {of('random')}, and at random with as many weights {of('as_large')}; "
        f"asked in reverse, the chosen ones bring {of('greedy', 'reverse')}"
    )
    return f"{text} (all weights: {of('all', 'reverse')})."


def alone(measured: Measured) -> str:
    """The site that is most enough, and the one that is most needed."""
    enough, needed = (
        next(iter(measured.estimates.where(quantity=f"most_{act}").rows), None) for act in ACTS
    )
    if not enough or not needed:
        return ""
    parts = measured.estimates.where(edit="given", direction="same")
    return (
        f"Of {len(parts)} parts alone, {called(**enough.of)} brings most "
        f"({spoken(enough.estimate)}), and {called(**needed.of)} is missed "
        f"most: the lead of the answer over another one then falls by "
        f"{spoken(opposite(needed.estimate))}."
    )


def called(component: str, layer: int | None = None, **_: Any) -> str:
    words = {"input_embedding": "the embedding", "output_rows": "the output rows", "norms": "norms"}
    name = "the MLP" if component == "mlp" else component
    return words.get(component) or f"{name} of layer {layer}"


def by_site(run: Run, measured: Measured) -> Picture:
    layers = sorted({int(layer) for layer in run.table(SINGLE).layer.dropna()})
    panels = [
        Panel(
            f"{ACTS[act]}: {words}",
            [
                Line(
                    label,
                    asked,
                    [
                        found(measured, edit=act, component=part, layer=layer, direction=asked)
                        for layer in layers
                    ],
                )
                for asked, label in ASKED.items()
            ],
            chance=0.0,
        )
        for act in ACTS
        for part, words in (("attention", "attention"), ("mlp", "MLP"))
    ]
    return picture(
        run,
        NAME,
        lambda theme: profile_figure(
            panels, [str(n) for n in layers], theme, quantity="effect [nat]", across="layer"
        ),
        title="",
        alt=f"Effect of moving one attention or MLP. {alone(measured)}",
        caption=(
            "What facts told in one order gain when one attention or MLP of the finetuned model is "
            "put into the base (above), and what the answer’s lead over another one changes when "
            "the base’s is put into the finetuned model (below), with 95 % intervals over facts."
        ),
    )


def by_number(run: Run, measured: Measured, orders: Sequence[Order]) -> Picture:
    drawn = {
        "matrices at random": ("same", "random", "told"),
        "chosen, asked as told": ("same", "greedy", "told"),
        "chosen, asked in reverse": ("reverse", "greedy", "reverse"),
    }
    panels = [
        CurvePanel(
            told(measured, order).capitalize(),
            [
                curve(measured, label, asked, "count", smallest(order, *what) | BY_NUMBER)
                for label, (asked, *what) in drawn.items()
            ],
        )
        for order in orders
    ]
    return picture(
        run,
        f"{NAME}_sets",
        lambda theme: curves_figure(
            panels, theme, quantity="effect [nat]", across="matrices", doubling=True
        ),
        title="",
        alt=f"Effect by number of matrices. {sentence(measured, orders[0])}",
        caption=(
            "What facts gain when the first k matrices of the finetuned model, in the order in "
            "which they were chosen on other facts, are put into the base, with 95 % intervals "
            "over facts. Dashed: k matrices at random."
        ),
    )


def by_rank(run: Run, measured: Measured) -> Picture:
    drawn = {
        "directions at random": ("same", "same", "random"),
        "the largest, asked as told": ("same", "same", "top"),
        "the largest, in reverse": ("reverse", "reverse", "top"),
        "all but the largest": ("both", "same", "rest"),
    }
    curves = [
        curve(
            measured, label, asked, "rank", {"part": "by_rank", "direction": direction, "set": kept}
        )
        for label, (asked, direction, kept) in drawn.items()
    ]
    few = found(measured, part="rank", direction="same", set="top", rank=FEW)
    return picture(
        run,
        f"{NAME}_ranks",
        lambda theme: curves_figure(
            [CurvePanel("Every matrix’s difference, cut to a rank", curves)],
            theme,
            quantity="effect [nat]",
            across="singular directions",
            doubling=True,
        ),
        title="",
        alt=f"Effect by rank. 16 directions bring {spoken(few)}.",
        caption=(
            "What facts gain when of every matrix’s difference between finetuned model and base "
            "only so many singular directions are put into the base, with 95 % intervals over "
            "facts. Dashed: as many directions at random (one draw) that are as large "
            "together."
        ),
    )


def curve(measured: Measured, label: str, asked: str, axis: str, of: dict[str, str]) -> Curve:
    some = measured.estimates.where(**of)
    points = sorted(some.along(axis, **of).items()) if some else []
    xs, estimates = [x for x, _ in points], [one for _, one in points]
    return Curve(label, asked, xs, estimates, control=label.endswith("at random"))


def outside(measured: Measured) -> Table:
    """What lies outside the layers."""
    rows = [
        [
            called(site),
            *(
                in_nats(found(measured, edit=act, component=site, direction=asked))
                for act in ACTS
                for asked in ASKED
            ),
        ]
        for site in ("input_embedding", "output_rows", "norms")
        if measured.estimates.find(edit="given", component=site, direction="same")
    ]
    columns = [
        "weights",
        "into the base, asked as told",
        "in reverse",
        "taken, asked as told",
        "in reverse ",
    ]
    return Table("Moved alone, outside the layers [nat]", columns, rows, columns[1:])


def chosen(run: Run, measured: Measured, orders: Sequence[Order]) -> Table:
    """Sites in the order in which they were added; what is left, with the most missed first."""
    table = run.table(SITES) if orders else pd.DataFrame(columns=["told", "set", "site"])
    rows = []
    for kind, words in (("greedy", "added"), ("units", "left of the whole")):
        part = table[table.set == kind]
        lists = [[short(site) for site in part.site[part.told == order]] for order in orders]
        for place in range(max(map(len, lists), default=0)):
            cells = [sites[place] if place < len(sites) else "" for sites in lists]
            rows.append([f"{words}, {place + 1}", *cells])
    return Table(
        "Chosen on half of the facts", ("", *(told(measured, order) for order in orders)), rows
    )


def short(site: str) -> str:
    """A module’s name without what all share."""
    return site.removeprefix("model.layers.").removeprefix("transformer.h.")


def compared(measured: Measured, orders: Sequence[Order]) -> Table:
    kinds = {
        "greedy": "matrices added",
        "random": "as many at random",
        "as_large": "at random, as many weights",
        "units": "what is left of the whole",
        "all": "all weights",
    }
    rows = [
        [
            told(measured, order),
            words,
            *(
                in_nats(found(measured, **smallest(order, kind, role)))
                for role in ("told", "paraphrase", "reverse")
            ),
        ]
        for order in orders
        for kind, words in kinds.items()
        if measured.estimates.find(**smallest(order, kind))
    ]
    columns = ["facts", "put into the base", "asked as told", "in other words", "in reverse"]
    return Table("On the other half of the facts [nat]", columns, rows, columns[2:])
