"""The page's section on weight transplants: which weights carry the facts?"""

import re
from collections.abc import Sequence

import pandas as pd

from interp_rc.display.figures.curves import Curve, CurvePanel, curves_figure
from interp_rc.display.figures.profile import Line, Panel, profile_figure
from interp_rc.display.lookup import look_up_place, numbered
from interp_rc.display.section import Picture, Section, Table, picture
from interp_rc.display.wording import in_nats, opposite, spoken
from interp_rc.measures.transplant.estimates import NAME
from interp_rc.measures.transplant.measure import RANKS, SINGLE, SITES
from interp_rc.records.nouns import ORDERS, Order
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured, Run

TITLE = "Which weights carry the facts?"
TOLD = {"forward": "told name first", "backward": "told description first"}
ASKED = {"same": "asked as told", "reverse": "asked in reverse"}
ACTS = {"given": "Put in", "taken": "Taken out"}
NOTHING = Estimate(None, None, None, 0, "nat")


def section(run: Run, measured: Measured) -> Section:
    if not measured.estimates:
        return Section(TITLE, "No facts were learnt: there is nothing to move.")
    orders = [o for o in ORDERS if f"{NAME}.smallest.{o}.all.told" in measured.estimates]
    figures = [by_site(run, measured)]
    picked = [o for o in orders if f"{NAME}.smallest.{o}.greedy.told" in measured.estimates]
    if picked:
        figures.append(by_number(run, measured, picked))
    if RANKS in measured.tables:
        figures.append(by_rank(run, measured))
    return Section(
        title=TITLE,
        sentence=" ".join([*(sentence(measured, o) for o in orders), alone(measured)]),
        figures=figures,
        tables=[outside(measured), chosen(run, orders), compared(measured, orders)],
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


def found(measured: Measured, name: str) -> Estimate:
    return measured.estimates.get(f"{NAME}.{name}", NOTHING)


def sentence(measured: Measured, order: Order) -> str:
    def of(what: str) -> str:
        return spoken(found(measured, f"smallest.{order}.{what}"))

    if f"{NAME}.smallest.{order}.greedy.told" not in measured.estimates:
        return f"Of facts {TOLD[order]}, all weights bring {of('all.told')}: nothing to choose."
    number = found(measured, f"smallest.{order}.greedy.sites").value or 0
    text = (
        f"Of facts {TOLD[order]}, the {number:.0f} matrices chosen on half of them bring "
        f"{of('greedy.told')} of the other half into the base, of {of('all.told')} that all "
        f"weights bring; as many at random {of('random.told')}, and at random with as many weights "
        f"{of('as_large.told')}; asked in reverse, the chosen ones bring {of('greedy.reverse')}"
    )
    return f"{text} (all weights: {of('all.reverse')})."


def alone(measured: Measured) -> str:
    """The site that is most enough, and the one that is most needed."""
    parts = {
        act: [n for n in measured.estimates if re.fullmatch(rf"{NAME}\.{act}\..*\.same", n)]
        for act in ACTS
    }
    if not all(parts.values()):
        return ""
    enough, needed = (".".join(look_up_place(measured, f"{NAME}.most_{act}")) for act in ACTS)
    lost = opposite(found(measured, f"most_taken.{needed}"))
    return (
        f"Of {len(parts['given'])} parts alone, {called(enough)} brings most "
        f"({spoken(found(measured, f'most_given.{enough}'))}), and {called(needed)} is missed "
        f"most: the lead of the answer over another one then falls by {spoken(lost)}."
    )


def called(site: str) -> str:
    part, _, layer = site.partition(".")
    words = {"input_embedding": "the embedding", "output_rows": "the output rows", "norms": "norms"}
    name = "the MLP" if part == "mlp" else part
    return words.get(part) or f"{name} of layer {layer}"


def by_site(run: Run, measured: Measured) -> Picture:
    table = run.table(SINGLE)
    layers = sorted({int(layer) for layer in table.layer.dropna()})
    panels = [
        Panel(
            f"{ACTS[act]}: {called(part).removeprefix('the ').split(' of ')[0]}",
            [
                Line(
                    words,
                    asked,
                    [found(measured, f"{act}.{part}.{layer}.{asked}") for layer in layers],
                )
                for asked, words in ASKED.items()
            ],
            chance=0.0,
        )
        for act in ACTS
        for part in ("attention", "mlp")
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
        "matrices at random": ("same", "random.told"),
        "chosen, asked as told": ("same", "greedy.told"),
        "chosen, asked in reverse": ("reverse", "greedy.reverse"),
    }
    panels = [
        CurvePanel(
            f"{TOLD[order][:1].upper()}{TOLD[order][1:]}",
            [
                curve(measured, label, asked, f"by_number.{order}.{what}.k")
                for label, (asked, what) in drawn.items()
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
        "directions at random": ("same", "same.random"),
        "the largest, asked as told": ("same", "same.top"),
        "the largest, in reverse": ("reverse", "reverse.top"),
        "all but the largest": ("both", "same.rest"),
    }
    curves = [
        curve(measured, label, asked, f"by_rank.{what}.r") for label, (asked, what) in drawn.items()
    ]
    few = found(measured, "rank.same.top.r16")
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


def curve(measured: Measured, label: str, asked: str, start: str) -> Curve:
    estimates = numbered(measured, f"{NAME}.{start}")
    xs, control = list(estimates), label.endswith("at random")
    return Curve(label, asked, xs, list(estimates.values()), control=control)


def outside(measured: Measured) -> Table:
    """What lies outside the layers."""
    rows = [
        [
            called(site),
            *(in_nats(found(measured, f"{act}.{site}.{a}")) for act in ACTS for a in ASKED),
        ]
        for site in ("input_embedding", "output_rows", "norms")
        if f"{NAME}.given.{site}.same" in measured.estimates
    ]
    columns = [
        "weights",
        "into the base, asked as told",
        "in reverse",
        "taken, asked as told",
        "in reverse ",
    ]
    return Table("Moved alone, outside the layers [nat]", columns, rows, columns[1:])


def chosen(run: Run, orders: Sequence[Order]) -> Table:
    """Sites in the order in which they were added; what is left, with the most missed first."""
    table = run.table(SITES) if orders else pd.DataFrame(columns=["told", "set", "site"])
    rows = []
    for kind, words in (("greedy", "added"), ("units", "left of the whole")):
        part = table[table.set == kind]
        lists = [[short(site) for site in part.site[part.told == order]] for order in orders]
        for place in range(max(map(len, lists), default=0)):
            cells = [sites[place] if place < len(sites) else "" for sites in lists]
            rows.append([f"{words}, {place + 1}", *cells])
    return Table("Chosen on half of the facts", ("", *(TOLD[order] for order in orders)), rows)


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
            TOLD[order],
            words,
            *(
                in_nats(found(measured, f"smallest.{order}.{kind}.{asked}"))
                for asked in ("told", "paraphrase", "reverse")
            ),
        ]
        for order in orders
        for kind, words in kinds.items()
        if f"{NAME}.smallest.{order}.{kind}.told" in measured.estimates
    ]
    columns = ["facts", "put into the base", "asked as told", "in other words", "in reverse"]
    return Table("On the other half of the facts [nat]", columns, rows, columns[2:])
