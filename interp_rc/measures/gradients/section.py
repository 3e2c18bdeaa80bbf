"""The page's section on whether learning one order pushes the other."""

from itertools import product
from typing import Any

from interp_rc.display.section import Picture, Section, Table, picture
from interp_rc.display.vocabulary import Words
from interp_rc.display.wording import MINUS, TIE, listed, number
from interp_rc.measures.gradients.figure import Cosine, gradients_figure
from interp_rc.measures.gradients.measure import ASKED, PARAMETERS, PART
from interp_rc.records.nouns import GROUPS, NAMED, Group
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured, Run

PANELS = {"base": "Base model", "finetuned": "Finetuned"}
LEGEND = {
    "same": "same order, another template",
    "reverse": "reverse order",
    "both": "reverse order, facts told in both",
}

STEPPED = (("told", "same"), ("told", "reverse"), ("other_order", "reverse"))


def section(run: Run, measured: Measured) -> Section:
    return Section(
        title="Does learning one order push the other?",
        sentence=sentence(measured),
        figures=[cosine_picture(run, measured)],
        tables=[step_table(measured), movement_table(measured)],
        note=(
            "The gradient says how learning would change every weight; matched against the "
            "gradients of other facts, what all texts share drops out. Input embedding and output "
            "rows are told apart also where they are one matrix. The steps of training each start "
            "from the base model, with a fresh AdamW and the whole learning rate, on one document: "
            "they are larger than a step on a batch, and they make a name likelier everywhere; the "
            "table gives only what ties it to its own prompt. " + _judged(run, measured)
        ),
    )


def _judged(run: Run, measured: Measured) -> str:
    options = next(m for m in run.config()["measures"] if m["kind"] == "gradients")
    margins = sorted({number(t.margin, 3) for t in measured.tests if t.margin is not None})
    found = [t.p_adjusted for t in measured.tests if t.p_adjusted is not None]
    if len(found) < len(measured.tests) or not found:
        return "Whether the reverse cosine is zero could not be tested in every set of facts."
    p = max(found)
    within = listed([f"±{margin}" for margin in margins]) or "a margin, of which there is none"
    text = f"Base model, reverse cosine within {within}: p = {p:.2g} (TOST, largest, Holm)."
    fixed = options.get("margin") is not None
    return text if fixed else f"{text} Exploratory: the margin is 5 % of this run's paraphrase."


def sentence(measured: Measured) -> str:
    base, base_near, tuned, tuned_near = (
        told(measured.estimates.of(part=PART, model=model, group="told_once", reading=pairing))
        for model in PANELS
        for pairing in ("reverse", "paraphrase")
    )
    return (
        "For facts told in one order, the cosine between the gradients of that order and of the "
        f"reverse exceeds that between two different facts by {base} in the base model and by "
        f"{tuned} in the finetuned one; the control, another template in the same order, exceeds "
        f"it by {base_near} and {tuned_near}."
    )


def told(estimate: Estimate) -> str:
    """A cosine to three decimals, which a difference of hundredths needs."""
    text = estimate.text(3).replace(f" {estimate.unit}", "")
    return text.replace("-", MINUS).replace(" ", TIE)


def cosines_of(measured: Measured) -> list[Cosine]:
    found = []
    for model, (asked, (group, pairing)) in product(PANELS, ASKED.items()):
        of = {"part": PART, "model": model, "group": group, "reading": pairing}
        found += [
            Cosine(PANELS[model], _row(**row.of), asked, row.estimate)
            for row in measured.estimates.where(**of).rows
            if "component" in row.of
        ]
    return sorted(found, key=lambda one: _place(one.row))


def _row(component: Any, layer: Any = None, **_: Any) -> str:
    """A group of parameters in words, with its layer."""
    words: str = PARAMETERS[component]
    return words if layer is None else f"{words} {layer}"


def _place(row: str) -> tuple[int, int, str]:
    """All first; then from the input to the output; the norms, which lie all over, last."""
    name, _, layer = row.rpartition(" ")
    if layer.isdigit():
        return 2, int(layer), name.lower()
    return {"all parameters": 0, "input embedding": 1, "output rows": 3}.get(row, 4), 0, row


def cosine_picture(run: Run, measured: Measured) -> Picture:
    cosines = cosines_of(measured)
    legend = {k: v for k, v in LEGEND.items() if any(one.asked == k for one in cosines)}
    words = " ".join(
        f"{one.panel}, {LEGEND[one.asked]}: {told(one.estimate)}."
        for one in cosines
        if one.row == PARAMETERS["all"]
    )
    return picture(
        run,
        "gradients",
        lambda theme: gradients_figure(cosines, theme, legend=legend),
        title="Gradients of both orders",
        alt=f"Cosine of the gradients of two tellings of a fact, over all parameters. {words}",
        caption=(
            "Cosine of the gradient of a fact asked as it was told with the gradient of the same "
            "fact in reverse (or in another template of the same order), less that with other "
            "facts. Circles and diamonds: facts told in one order"
            + ("; squares: facts told in both" if "both" in legend else "")
            + ". Layers count from 0."
        ),
    )


def step_table(measured: Measured) -> Table:
    def cell(group: Group, step: str, of: str) -> str:
        return _text(bound(measured, group, step, of), 1)

    return Table(
        caption=(
            "One step of training on one telling of a fact: change of the target's "
            "log-probability [nat], less that of other targets and that after other prompts, "
            "with 95 % intervals over facts. The last column is the control: a step on the other "
            "order must raise the reverse."
        ),
        columns=("facts", "as told", "reverse", "reverse, told in reverse"),
        rows=[
            [Words(measured.roles).told(group), *(cell(group, *which) for which in STEPPED)]
            for group in _groups(measured)
        ],
        numeric=("as told", "reverse", "reverse, told in reverse"),
    )


def movement_table(measured: Measured) -> Table:
    moved = measured.estimates.where(part="movement")
    last = max(moved.each("layer"))
    places: dict[str, dict[str, Any]] = {"embedding": {"place": "embedding"}}
    places |= {f"layer {layer}": {"layer": layer} for layer in (0, last)}
    return Table(
        caption=(
            "How far that step moves the representation at the last token of the fact's "
            f"{measured.roles.subject} and {measured.roles.object} [% of its norm], less "
            "how far it moves other facts', with 95 % intervals over facts."
        ),
        columns=("facts", "at the", *places),
        rows=[
            [Words(measured.roles).told(group), word]
            + [
                _text(moved.of(part="movement", group=group, role=of, **at), 1, 100)
                for at in places.values()
            ]
            for group in _groups(measured)
            for of, word in zip(NAMED, measured.roles, strict=True)
        ],
        numeric=tuple(places),
    )


def _groups(measured: Measured) -> list[Group]:
    return [s for s in GROUPS if bound(measured, s, "told", "same")]


def bound(measured: Measured, group: Group, step: str, direction: str) -> Estimate | None:
    of = {"part": "one_step", "group": group, "edit": step, "direction": direction}
    return measured.estimates.find(**of, quantity="bound")


def _text(one: Estimate | None, digits: int, scale: float = 1.0) -> str:
    if one is None:
        return ""
    value, low, high = (
        number(None if v is None else v * scale, digits) for v in (one.value, one.low, one.high)
    )
    return f"{value} [{low}, {high}]" if low and high else value
