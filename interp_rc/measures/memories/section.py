"""The page's section on key–value memories: how many neurons carry a fact."""

from collections.abc import Sequence

from interp_rc.display.figures.curves import Curve, CurvePanel, curves_figure
from interp_rc.display.lookup import numbered
from interp_rc.display.section import Picture, Section, Table, picture
from interp_rc.display.vocabulary import told
from interp_rc.display.wording import in_nats, spoken
from interp_rc.measures.memories.estimates import FEW, NAME
from interp_rc.measures.memories.measure import NEURONS, TOLD_OF
from interp_rc.records.nouns import ORDERS, TOLD_ONLY, TOLD_OTHERWISE, TRAINED, Order, Subset
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured, Run
from interp_rc.tools.neurons.curves import Act

TITLE = "How many neurons carry a fact?"
ASKED = {"forward": "Asked name first", "backward": "Asked description first"}
FIRST = {"forward": "Name first", "backward": "Description first"}
ACTS: dict[Act, str] = {"transplant": "given", "ablate": "averaged"}
SHOWN = 6  # facts in the table of neurons


def section(run: Run, measured: Measured) -> Section:
    orders = [
        o
        for o in ORDERS
        if f"{NAME}.{o}.{TOLD_ONLY[o]}.transplant.top.k{FEW}" in measured.estimates
    ]
    if not orders:
        return Section(
            TITLE, "Fewer than two facts told in one order were learnt: nothing to count."
        )
    return Section(
        title=TITLE,
        sentence=" ".join(sentence(measured, order) for order in orders),
        figures=[curves(run, measured, orders)],
        tables=[exchanged(measured), written(measured), neurons(run)],
        note=(
            "Neurons are ranked by how much their coefficients contribute to the difference "
            "between two facts (gradient times difference, in another template than the one "
            "measured), and the first k of all layers are given the other fact’s coefficients at "
            "the tokens of the source, or their mean. To pick those that raise a target raises it "
            "even where nothing was learnt: facts told the other way show by how much. Neurons at "
            "random are drawn until they write as much as the first k."
        ),
    )


def sentence(measured: Measured, order: Order) -> str:
    def found(subset: Subset, *what: str) -> str:
        return spoken(measured.estimates[".".join([NAME, order, subset, *what])])

    this, other = TOLD_ONLY[order], TOLD_OTHERWISE[order]
    last = max(int(n.rpartition(".k")[2]) for n in measured.estimates if ".transplant.top.k" in n)
    text = (
        f"{ASKED[order]}, the coefficients of {FEW} neurons bring "
        f"{found(this, f'transplant.top.k{FEW}')} of the "
        f"{found(this, f'transplant.top.k{last}')} that all {last:,} do"
    )
    half = f"{NAME}.{order}.{this}.transplant.neurons_to_half"
    if half in measured.estimates:
        text += f" (half of it takes {spoken(measured.estimates[half])})"
    text += f"; neurons at random that write as much, {found(this, f'transplant.random.k{FEW}')}"
    if f"{NAME}.{order}.{other}.transplant.top.k{FEW}" in measured.estimates:
        text += f"; facts told the other way, {found(other, f'transplant.top.k{FEW}')}"
    return f"{text}."


def curves(run: Run, measured: Measured, orders: Sequence[Order]) -> Picture:
    panels = [
        CurvePanel(f"{FIRST[order]}: {how}", lines(measured, order, act))
        for act, how in ACTS.items()
        for order in orders
    ]
    return picture(
        run,
        NAME,
        lambda theme: curves_figure(
            panels, theme, quantity="effect [nat]", across="neurons", doubling=True
        ),
        title="",
        alt=f"Effect by number of neurons. {sentence(measured, orders[0])}",
        caption=(
            "What the log-probability of the answer gains when the first k neurons at the source "
            "are given the coefficients of the fact that is asked about (above), and loses when "
            "theirs are averaged over all facts (below), with 95 % intervals over facts. Dashed: "
            "neurons at random that write as much."
        ),
    )


def lines(measured: Measured, order: Order, act: Act) -> list[Curve]:
    found = []
    for subset in sorted(TRAINED, key=lambda s: (s == TOLD_OTHERWISE[order], s == "both")):
        label, asked = told(subset, order)
        for kind in ("top", "random"):
            if kind == "random" and asked != "same":
                continue
            by_k = numbered(measured, f"{NAME}.{order}.{subset}.{act}.{kind}.k")
            if by_k:
                name = label if kind == "top" else f"{label}, at random"
                ks, estimates = list(by_k), list(by_k.values())
                found.append(Curve(name, asked, ks, estimates, control=kind == "random"))
    return found


def exchanged(measured: Measured) -> Table:
    """If a key brings its value, exchanged values bring the other fact's answer."""
    rows = []
    for order in ORDERS:
        for subset in TRAINED:
            cells = [
                measured.estimates.get(
                    f"{NAME}.{order}.{subset}.exchange_with_{whose}.{of}_target.k{FEW}"
                )
                for whose, of in (
                    ("other", "other"),
                    ("third", "other"),
                    ("other", "own"),
                    ("third", "own"),
                )
            ]
            if all(cells):
                rows.append([ASKED[order], told(subset, order)[0], *map(_nats, cells)])
    columns = [
        "asked",
        "told",
        "other’s answer, its values",
        "a third’s values",
        "own answer, other’s values",
        "a third’s values ",
    ]
    caption = f"Values of {FEW} neurons exchanged with another fact’s: gain of an answer [nat]"
    return Table(caption, columns, rows, columns[2:])


def written(measured: Measured) -> Table:
    """What neurons write where the answer is said, straight into its logits."""
    rows = []
    for order in ORDERS:
        for subset in TRAINED:
            cells = [
                measured.estimates.get(f"{NAME}.{order}.{subset}.written_by_{kind}.{of}")
                for kind, of in (("all", "target"), ("few", "target"), ("few", "foil"))
            ]
            if all(cells):
                rows.append([ASKED[order], told(subset, order)[0], *map(_nats, cells)])
    few = f"the {FEW} that do most"
    columns = ["asked", "told", "all neurons", few, "the same, for another’s answer"]
    caption = "Written straight into the logits of the answer, over the vocabulary’s mean [logit]"
    return Table(caption, columns, rows, columns[2:])


def _nats(estimate: Estimate | None) -> str:
    return "" if estimate is None else in_nats(estimate)


def neurons(run: Run) -> Table:
    """The first neurons of some facts, and the words that their values promote."""
    table = run.table(NEURONS)
    first = table[table.pair.isin(table.drop_duplicates(["order", "fact"]).pair)]
    shown = first[first.fact.isin(list(dict.fromkeys(first.fact))[:SHOWN]) & (first["rank"] <= 2)]
    rows = [
        [
            str(row["fact"]),
            ASKED[row["order"]],
            f"{row['layer']}.{row['neuron']}",
            f"{row['score']:.2f}",
            str(row["promotes"]),
        ]
        for row in shown.to_dict("records")
    ]
    columns = ["fact", "asked", "layer.neuron", "score [nat]", "what changes promotes"]
    caption = f"The first two of the {TOLD_OF} neurons kept for each fact, of {SHOWN} facts"
    return Table(caption, columns, rows, columns[3:4])
