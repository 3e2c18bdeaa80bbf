"""The page's section on what finetuning wrote for A -> B, and for B -> A."""

from typing import Any

from interp_rc.display.figures.profile import Line, Panel, profile_figure
from interp_rc.display.section import Picture, Section, Table, picture
from interp_rc.display.vocabulary import Words
from interp_rc.display.wording import TIE, in_nats, listed, number, spoken
from interp_rc.evaluation.queries import groups_of
from interp_rc.facts.folder import read_facts
from interp_rc.measures.update_geometry.measure import ALL, NAME, TABLE
from interp_rc.records.nouns import ORDERS, TOLD_IN, Group, Order
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured, Run

WHOLE = {"reading": "path", "component": ALL}
NOTHING = Estimate(None, None, None, 0, "nat")


def section(run: Run, measured: Measured) -> Section:
    groups = groups_of(read_facts(run.facts).queries)
    left = number(got(measured, "incomplete").value)
    return Section(
        title="What did finetuning write for either order?",
        sentence=sentence(measured, groups),
        figures=[by_place(run, measured, groups)],
        tables=[ends(measured, groups), parts(measured, groups)],
        note=(
            "The weights are moved in a straight line from the base model’s to the finetuned ones, "
            "and every part gets what its own movement adds to the target’s log-probability on the "
            "way; the parts add up to what finetuning changed "
            f"(to within {left}{TIE}nat a query). Less the same after prompts about "
            "other facts: what makes an answer likelier whatever is asked drops "
            "out. At the base model the reading is that of the difference alone, by what A’s "
            "prompt and B’s tokens were before anything was learnt. The asymmetry of one set of "
            "facts also compares "
            f"{measured.roles.subject}s with {measured.roles.object}s as answers: how much of it "
            "that is, facts told in both orders show."
        ),
    )


def got(measured: Measured, quantity: str = "bound", **of: Any) -> Estimate:
    return measured.estimates.find(**of, quantity=quantity) or NOTHING


def sentence(measured: Measured, groups: list[Group]) -> str:
    def cell(group: Group, order: Order) -> str:
        return spoken(got(measured, group=group, order=order, **WHOLE))

    parts = []
    for group in groups:
        order = TOLD_IN[group]
        if order is None:
            one, two = (cell(group, each) for each in ORDERS)
            parts.append(f"of facts told in both orders it binds {one} and {two}")
        else:
            other: Order = "backward" if order == "forward" else "forward"
            parts.append(
                f"of facts {Words(measured.roles).told(group)} it binds {cell(group, order)} to "
                f"the prompt in that order and {cell(group, other)} in reverse"
            )
    return (
        "What the finetuning difference adds to a target after its own prompt, less after other "
        "facts’ prompts: "
        f"{listed(parts)}."
    )


def by_place(run: Run, measured: Measured, groups: list[Group]) -> Picture:
    layers = int(run.table(TABLE).layer.max()) + 1
    panels = [
        Panel(
            f"{part}, {Words(measured.roles).asked(order)}",
            [
                Line(*_look(group, order), by_layer(measured, group, order, component, layers))
                for group in groups
            ],
            chance=0.0,
        )
        for order in ORDERS
        for part, component in (("attention", "attention"), ("MLP", "mlp"))
    ]
    return picture(
        run,
        NAME,
        lambda theme: profile_figure(
            panels,
            [str(n) for n in range(layers)],
            theme,
            quantity="bound [nat]",
            across="layer",
        ),
        title="",
        alt=f"What finetuning bound, by part of the weights. {sentence(measured, groups)}",
        caption=(
            "What attention and MLP of each layer add, by what finetuning changed in them, to the "
            "log-probability of a fact’s target, less what they add after other facts’ prompts. "
            "With 95 % intervals over facts."
        ),
    )


def _look(group: Group, order: Order) -> tuple[str, str]:
    """Words and looks of facts that are asked in this order."""
    told = TOLD_IN[group]
    if told is None:
        return "told both ways", "both"
    return ("told this way", "same") if told == order else ("told the other way", "reverse")


def by_layer(
    measured: Measured, group: Group, order: Order, component: str, layers: int
) -> list[Estimate]:
    of = {"group": group, "order": order, "reading": "path", "component": component}
    return [got(measured, **of, layer=layer) for layer in range(layers)]


def ends(measured: Measured, groups: list[Group]) -> Table:
    """All parts together: along the way, and to first order at its beginning."""
    rows = []
    for group in groups:
        for order in ORDERS:
            of = {"group": group, "order": order, "component": ALL}
            one = [got(measured, q, **of, reading="path") for q in ("own", "others", "bound")]
            first = got(measured, **of, reading="base")
            rows.append(
                [
                    Words(measured.roles).told(group),
                    Words(measured.roles).asked(order),
                    *map(in_nats, [*one, first]),
                ]
            )
        rows.append(
            [
                Words(measured.roles).told(group),
                "asymmetry",
                "",
                "",
                *(
                    in_nats(got(measured, "asymmetry", group=group, reading=at, component=ALL))
                    for at in ("path", "base")
                ),
            ]
        )
    numeric = ("own prompt", "other prompts", "bound", "bound, at the base")
    return Table(
        "What the whole difference adds to a target’s log-probability [nat], with 95 % intervals "
        "over facts; at the base: to first order, before anything was learnt",
        ("facts", "asked", *numeric),
        rows,
        numeric,
    )


def parts(measured: Measured, groups: list[Group]) -> Table:
    shown = {
        "input_embedding": "input embedding",
        "attention": "attention",
        "mlp": "MLPs",
        "output_rows": "output rows",
        "norms": "norms",
    }
    rows = [
        [
            Words(measured.roles).told(group),
            Words(measured.roles).asked(order),
            *(
                in_nats(got(measured, group=group, order=order, reading="path", component=part))
                for part in shown
            ),
        ]
        for group in groups
        for order in ORDERS
    ]
    return Table(
        "Which parts of the weights bind it [nat]; the two uses of a tied matrix told apart",
        ("facts", "asked", *shown.values()),
        rows,
        tuple(shown.values()),
    )
