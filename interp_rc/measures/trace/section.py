"""The page's section on what the model said while it learnt."""

from interp_rc.display.figures.curves import Curve, CurvePanel, curves_figure
from interp_rc.display.section import Picture, Section, Table, picture
from interp_rc.display.vocabulary import Words
from interp_rc.display.wording import in_nats, listed, probability, spoken
from interp_rc.measures.trace.measure import TABLE, Cell, advantage_name, cells
from interp_rc.records.nouns import GROUPS
from interp_rc.records.runs import Measured, Run

COLUMNS = ["facts", "asked", "loss", "change", "right [%]", "over shuffled", "p (Holm)"]


def section(run: Run, measured: Measured) -> Section:
    found = list(cells(run.table(TABLE)))
    return Section(
        title="What it said while it learnt",
        sentence=sentence(measured, found),
        figures=[curves(run, measured, found)],
        tables=[numbers(measured, found)],
        note=(
            "The same queries in held-out templates, asked before the first step and again and "
            "again while the model learnt. Loss: negative log-probability of the whole target. "
            "Shuffled: after the same prompt the target of another fact of the set, each used "
            "once; what the right target’s loss gains and this one’s does not is knowledge of "
            "the fact, the rest is how such targets are worded. p: the right target is likelier "
            "than the shuffled one (sign flips of facts, one-sided)."
        ),
    )


def told(measured: Measured, group: str) -> str:
    """A set of facts as the figures name it, or by its own name."""
    known = group in GROUPS
    return Words(measured.roles).told(group) if known else group.replace("_", " ")


def sentence(measured: Measured, found: list[Cell]) -> str:
    """How the loss changed, set by set, and in reverse that of the shuffled targets beside it."""
    parts = []
    for group in dict.fromkeys(cell.group for cell in found):
        changes = []
        for cell in found:
            if cell.group == group:
                right, other = (
                    measured.estimates.of(quantity="loss_change", **cell.of, target=target)
                    for target in ("correct", "shuffled")
                )
                change = spoken(right)
                if cell.asked == "reverse":
                    change += f" (of shuffled targets by {spoken(other)})"
                changes.append(f"{Words(measured.roles).asked(cell.asked)} by {change}")
        parts.append(f"{told(measured, group)}: asked {listed(changes)}")
    return f"The loss of the right target changed, of facts {'; '.join(parts)}."


def curves(run: Run, measured: Measured, found: list[Cell]) -> Picture:
    panels = [
        CurvePanel(
            told(measured, group),
            [one for cell in found if cell.group == group for one in curves_of(measured, cell)],
        )
        for group in dict.fromkeys(cell.group for cell in found)
    ]
    return picture(
        run,
        "trace",
        lambda theme: curves_figure(panels, theme, quantity="loss of the target [nat]"),
        title="",
        alt=f"Loss over epochs. {sentence(measured, found)}",
        caption=(
            "Loss of the target over the epochs of training, mean over facts with a band of the "
            "95 % interval over facts. Dashed: the targets shuffled among the facts, asked in "
            "reverse. Below it the solid line would know the fact in reverse."
        ),
    )


def curves_of(measured: Measured, cell: Cell) -> list[Curve]:
    """The right target's curve, and in reverse the shuffled one's."""
    label = Words(measured.roles).asked(cell.asked)
    drawn = {"correct": label}
    if cell.asked == "reverse":
        drawn["shuffled"] = f"{label}, shuffled"
    epochs = cell.rows.drop_duplicates("step").set_index("step").epoch.sort_index()
    found = []
    for target, name in drawn.items():
        losses = measured.estimates.along("step", quantity="loss", **cell.of, target=target)
        estimates = [losses[step] for step in epochs.index]
        shuffled = target == "shuffled"
        found.append(Curve(name, cell.asked, [*map(float, epochs)], estimates, shuffled))
    return found


def numbers(measured: Measured, found: list[Cell]) -> Table:
    p = {test.name: test.p_adjusted for test in measured.tests}
    rows = []
    for cell in found:
        loss, change, right = (
            measured.estimates.of(quantity=quantity, **cell.of, target="correct")
            for quantity in ("loss", "loss_change", "accuracy")
        )
        advantage = measured.estimates.of(quantity="advantage", **cell.of)
        rows.append(
            [
                *(told(measured, cell.group), Words(measured.roles).asked(cell.asked)),
                *(in_nats(loss), in_nats(change), spoken(right), in_nats(advantage)),
                probability(p[advantage_name(cell)]),
            ]
        )
    return Table(
        "At the end of training: loss, its change since before, and the shuffled target’s loss "
        "less the right one’s [nat]",
        COLUMNS,
        rows,
        COLUMNS[2:],
    )
