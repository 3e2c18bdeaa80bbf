"""The page's section on key–value memories: how many neurons carry a fact."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from interp_rc.display.figures.curves import Curve, CurvePanel, curves_figure
from interp_rc.display.section import Picture, Section, Table, picture
from interp_rc.display.vocabulary import Words, told
from interp_rc.display.wording import in_nats, spoken
from interp_rc.measures.memories.estimates import FEW, NAME, NEURONS
from interp_rc.measures.memories.measure import TOLD_OF
from interp_rc.records.nouns import ORDERS, TOLD_ONLY, TOLD_OTHERWISE, TRAINED, Group, Order
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured, Run
from interp_rc.tools.neurons.curves import Act

TITLE = "How many neurons carry a fact?"
TOP: dict[str, Any] = {"edit": "transplant", "set": "top"}
ACTS: dict[Act, str] = {"transplant": "given", "ablate": "averaged"}
SHOWN = 6  # facts in the table of neurons


def section(run: Run, measured: Measured) -> Section:
    orders = [
        order
        for order in ORDERS
        if measured.estimates.find(order=order, group=TOLD_ONLY[order], **TOP, count=FEW)
    ]
    if not orders:
        return Section(
            TITLE, "Fewer than two facts told in one order were learnt: nothing to count."
        )
    return Section(
        title=TITLE,
        sentence=" ".join(sentence(measured, order) for order in orders),
        figures=[curves(run, measured, orders)],
        tables=[exchanged(measured), written(measured), neurons(run, Words(measured.roles))],
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
    mine = measured.estimates.where(order=order)
    this, other = TOLD_ONLY[order], TOLD_OTHERWISE[order]

    def few(group: Group, kind: str = "top") -> Estimate | None:
        return mine.find(order=order, group=group, edit="transplant", set=kind, count=FEW)

    brought = mine.along("count", order=order, group=this, **TOP)
    last = max(brought)
    text = (
        f"{Words(measured.roles).asked_first(order)}, the coefficients of {FEW} neurons bring "
        f"{spoken(brought[FEW])} of the {spoken(brought[last])} that all {last:,} do"
    )
    half = mine.find(order=order, group=this, edit="transplant", quantity="neurons_to_half")
    if half:
        text += f" (half of it takes {spoken(half)})"
    if drawn := few(this, "random"):
        text += f"; neurons at random that write as much, {spoken(drawn)}"
    if otherwise := few(other):
        text += f"; facts told the other way, {spoken(otherwise)}"
    return f"{text}."


def curves(run: Run, measured: Measured, orders: Sequence[Order]) -> Picture:
    panels = [
        CurvePanel(f"{first(measured, order)}: {how}", lines(measured, order, act))
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
    for group in sorted(TRAINED, key=lambda s: (s == TOLD_OTHERWISE[order], s == "both")):
        label, asked = told(group, order)
        for kind in ("top", "random"):
            if kind == "random" and asked != "same":
                continue
            of = {"order": order, "group": group, "edit": act, "set": kind}
            if measured.estimates.where(**of):
                by_k = sorted(measured.estimates.along("count", **of).items())
                name = label if kind == "top" else f"{label}, at random"
                ks, estimates = zip(*by_k, strict=True)
                found.append(Curve(name, asked, ks, estimates, control=kind == "random"))
    return found


def first(measured: Measured, order: Order) -> str:
    return f"{Words(measured.roles).source(order)} first".capitalize()


def exchanged(measured: Measured) -> Table:
    """If a key brings its value, exchanged values bring the other fact's answer."""
    cells = [
        {"edit": f"exchange_with_{whose}", "target": f"{of}_target", "count": FEW}
        for of in ("other", "own")
        for whose in ("other", "third")
    ]
    columns = [
        "other’s answer, its values",
        "a third’s values",
        "own answer, other’s values",
        "a third’s values ",
    ]
    caption = f"Values of {FEW} neurons exchanged with another fact’s: gain of an answer [nat]"
    return by_group(measured, caption, dict(zip(columns, cells, strict=True)))


def written(measured: Measured) -> Table:
    """What neurons write where the answer is said, straight into its logits."""
    columns = {
        "all neurons": {"set": "written_by_all", "target": "target"},
        f"the {FEW} that do most": {"set": "written_by_few", "target": "target"},
        "the same, for another’s answer": {"set": "written_by_few", "target": "foil"},
    }
    caption = "Written straight into the logits of the answer, over the vocabulary’s mean [logit]"
    return by_group(measured, caption, columns)


def by_group(measured: Measured, caption: str, columns: Mapping[str, Mapping[str, Any]]) -> Table:
    """A row for each order and group that has all the estimates of `columns`."""
    rows = []
    for order, group in product(ORDERS, TRAINED):
        cells = [measured.estimates.find(order=order, group=group, **of) for of in columns.values()]
        if all(cells):
            asked = Words(measured.roles).asked_first(order)
            rows.append([asked, told(group, order)[0], *(in_nats(one) for one in cells if one)])
    return Table(caption, ["asked", "told", *columns], rows, [*columns])


def neurons(run: Run, words: Words) -> Table:
    """The first neurons of some facts, and the words that their values promote."""
    table = run.table(NEURONS)
    first = table[table.pair.isin(table.drop_duplicates(["order", "fact"]).pair)]
    shown = first[first.fact.isin(list(dict.fromkeys(first.fact))[:SHOWN]) & (first["rank"] <= 2)]
    rows = [
        [
            str(row["fact"]),
            words.asked_first(row["order"]),
            f"{row['layer']}.{row['neuron']}",
            f"{row['score']:.2f}",
            str(row["promotes"]),
        ]
        for row in shown.to_dict("records")
    ]
    columns = ["fact", "asked", "layer.neuron", "score [nat]", "what changes promotes"]
    caption = f"The first two of the {TOLD_OF} neurons kept for each fact, of {SHOWN} facts"
    return Table(caption, columns, rows, columns[3:4])
