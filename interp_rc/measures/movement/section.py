"""The page's section on what training moves: the entity told first, or both?"""

from itertools import product
from typing import Any

from interp_rc.display.figures.profile import Line, Panel, profile_figure
from interp_rc.display.section import Picture, Section, Table, picture
from interp_rc.display.vocabulary import Words
from interp_rc.display.wording import TIE, listed, number
from interp_rc.measures.movement.entity_places import At, places_of
from interp_rc.measures.movement.estimates import second_of
from interp_rc.measures.movement.measure import NAMED, TABLE
from interp_rc.records.nouns import TOLD_IN, TRAINED, Group
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured, Run

NOTHING = Estimate(None, None, None, 0, "share of norm")


def section(run: Run, measured: Measured) -> Section:
    table = run.table(TABLE)
    layers, steps = int(table.layer.max()) + 1, int(table.steps.max())
    tied = bool(table.tied.any())
    return Section(
        title="What does training move?",
        sentence=sentence(measured, layers, steps),
        figures=[by_place(run, measured, layers, steps)],
        tables=[pulls(measured, layers, steps, tied)],
        note=note(run, tied),
    )


def note(run: Run, tied: bool) -> str:
    """How to read it: whose training, what is compared, and what moves by itself."""
    whose = "The run’s own" if run.config()["training"] else "The default"
    whom = "" if run.base.is_dir() else ", in the model as it came, which may know the facts"
    return (
        f"{whose} batches and optimiser, at the whole learning rate{whom}, on either half of a "
        "set’s facts in turn: how far an entity moves when its fact is told is compared with how "
        "far it moves when the other half is. All facts of a half share one training, so intervals "
        "over facts leave out that another one would have moved otherwise. After the whole "
        "finetuning all facts are told, and the others are people that the base model knew and "
        "finetuning did not name, in the same prompts: compare names told first with names told "
        "second. AdamW moves a weight with a small gradient as far as one with a large one, so "
        "entities that are not told move as well. "
        + ("Input embedding and output rows are one matrix here, which moves as one. " * tied)
        + "In a causal model the entity that comes second is read by nothing but what follows it: "
        "its own last token is pulled only there, though its tokens are pulled as targets."
    )


def share(measured: Measured, at: At, **of: Any) -> Estimate:
    return measured.estimates.find(**of, **at.axes) or NOTHING


def percent(estimate: Estimate) -> str:
    """Value and interval in percent of the norm."""
    value, low, high = (
        number(None if v is None else 100 * v, 1)
        for v in (estimate.value, estimate.low, estimate.high)
    )
    text = f"{value} % [{low}, {high}]" if low and high else f"{value} %"
    return text.replace(" ", TIE)


def sentence(measured: Measured, layers: int, steps: int) -> str:
    """Each kind of entity, told first and told second, after the last layer; and the control."""
    last, parts = At("resid_post", layers - 1), []
    for role, called in named(measured).items():
        of = {"phase": "steps", "step": steps, "role": role}
        by_role = [
            f"{role_of(group, role)} by {percent(moved)}"
            for group in in_turn(role)
            if (moved := share(measured, last, **of, group=group)).value is not None
        ]
        if by_role:
            parts.append(f"{called}s {listed(by_role)}")
    text = (
        f"After {steps} steps of training on half of a set’s facts, the stream behind the last "
        "layer has moved further than after as many steps on the other half (less far where "
        f"negative): {'; '.join(parts)} of its norm."
    )
    of = {"group": "pooled", "quantity": "second_less_first"}
    pooled = share(measured, last, phase="steps", step=steps, **of)
    if pooled.value is None:
        return text
    whole = share(measured, last, phase="finetuned", **of)
    both = f"{'s and '.join(named(measured).values())}s".capitalize()
    text += f" {both} together, what is told second moves by {percent(pooled)} more than what is "
    text += "told first"
    return f"{text}{f' ({percent(whole)} in the whole finetuning)' if whole.value else ''}."


def named(measured: Measured) -> dict[str, str]:
    """What a page calls the two entities of a fact, by what tables call them."""
    return dict(zip(NAMED.values(), measured.roles, strict=True))


def in_turn(of: str) -> list[Group]:
    """The sets where the entity comes first, second, and both."""
    return sorted(TRAINED, key=lambda s: (TOLD_IN[s] is None, second_of(s) == of))


def role_of(group: Group, of: str) -> str:
    second = second_of(group)
    return "told both ways" if second is None else "told second" if second == of else "told first"


def by_place(run: Run, measured: Measured, layers: int, steps: int) -> Picture:
    looks = {"same": "told first", "reverse": "told second", "both": "told both ways"}
    asked = {words: look for look, words in looks.items()}
    phases: dict[str, dict[str, str | int]] = {
        f"after {steps} steps": {"phase": "steps", "step": steps},
        "finetuned": {"phase": "finetuned"},
    }
    panels = [
        Panel(
            f"{called}s, {title}",
            [
                Line(
                    role_of(group, role),
                    asked[role_of(group, role)],
                    [share(measured, at, **of, group=group, role=role) for at in places_of(layers)],
                )
                for group in in_turn(role)
            ],
            chance=0.0,
        )
        for role, called in named(measured).items()
        for title, of in phases.items()
        if of["phase"] in measured.estimates.each("phase")
    ]
    ticks = ["in", *(str(n) for n in range(layers)), "out"]
    return picture(
        run,
        "movement",
        lambda theme: profile_figure(
            panels, ticks, theme, quantity="moved more [%]", scale=100, across="place"
        ),
        title="",
        alt=f"Movement of representations by place. {sentence(measured, layers, steps)}",
        caption=(
            "How far training moves the representation of the entities that it tells, as a share "
            "of its norm, less how far it moves others; in: input embedding, rows of the entity’s "
            "tokens; 0, 1, …: the stream after that layer, at the entity’s last token in a prompt "
            "that names it alone; out: output rows of its tokens. With 95 % intervals over facts. "
            "Left: the fact told, less the other half told; right: all told, less people that only "
            "the base model was told of."
        ),
    )


def pulls(measured: Measured, layers: int, steps: int, tied: bool) -> Table:
    """Gradients before the first step and after the last."""
    places = places_of(layers)
    rows = []
    for group, order in (
        ("trained_forward", "forward"),
        ("trained_backward", "backward"),
        ("both", "forward"),
        ("both", "backward"),
    ):
        for step, role in product((0, steps), NAMED.values()):
            of = {"phase": "gradient", "group": group, "order": order, "step": step, "role": role}
            found = [share(measured, at, **of) for at in places]
            if found[0].value is not None:
                first = (order == "forward") == (role == "name")
                rows.append(
                    [
                        Words(measured.roles).told(group),
                        f"{named(measured)[role]}, {'first' if first else 'second'}",
                        str(step),
                        *(number(one.value, 2) for one in found),
                    ]
                )
    columns = ["in", *(f"layer {n}" for n in range(layers)), "out"]
    return Table(
        "What a document’s loss pulls at each place [nat a token, for a movement by the whole "
        "norm], in its first and second entity"
        + ("; both uses of the one matrix told apart" if tied else ""),
        ("facts", "entity", "steps", *columns),
        rows,
        ("steps", *columns),
    )
