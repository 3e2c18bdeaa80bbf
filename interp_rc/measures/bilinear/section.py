"""The page's section on whether the representations of A and B know of each other."""

from itertools import product

from interp_rc.display.figures.profile import Line, Panel, profile_figure
from interp_rc.display.section import Picture, Section, Table, picture
from interp_rc.display.vocabulary import PLACE, Words
from interp_rc.display.wording import probability, spoken, without_unit
from interp_rc.measures.bilinear.measure import NAME
from interp_rc.measures.bilinear.read import WHATS, What
from interp_rc.records.estimates import Estimates
from interp_rc.records.nouns import ORDERS, TRAINED, Group, Roles
from interp_rc.records.runs import Measured, Run
from interp_rc.tools.probing.streams import POSITIONS, Position

ASKED: dict[Group, str] = {
    "trained_forward": "same",
    "trained_backward": "reverse",
    "both": "both",
}
SHOWN: tuple[What, ...] = ("mutual", "backward", "transposed_backward", "return_forward")
COLUMNS = ["scored", "facts", "found", "gain [SD]", "shuffled", "untrained", "base"]


def said(what: What, roles: Roles) -> str:
    """What is scored, e.g. ``name from the description``."""
    subject, object_ = roles
    forward, backward = f"{object_} from the {subject}", f"{subject} from the {object_}"
    words: dict[What, str] = {
        "mutual": f"{subject} with {object_}",
        "forward": forward,
        "backward": backward,
        "transposed_forward": f"{forward}, transposed",
        "transposed_backward": f"{backward}, transposed",
        "return_forward": f"{subject} → {object_} → {subject}",
        "return_backward": f"{object_} → {subject} → {object_}",
    }
    return words[what]


def section(run: Run, measured: Measured) -> Section:
    mutual, forward = (said(what, measured.roles) for what in ("mutual", "forward"))
    return Section(
        title="Do both entities’ representations know of each other?",
        sentence=sentence(measured),
        figures=[by_layer(run, measured)],
        tables=[numbers(measured)],
        note=(
            "One matrix M scores two representations by aᵀMb (RESCAL), fitted on matched and "
            "mismatched pairs of other facts; the right partner must come first of all of its "
            "group, none of which the matrix was fitted on. "
            f"{mutual.capitalize()}: both as the model holds them where they are read. "
            f"{forward.capitalize()}, and the other way: "
            "what is read with the other’s output vector, so that only the entity that is read "
            "can have learnt; fitted on facts told that way or in both. Transposed: by the matrix "
            "that was fitted for the other direction. The gain is over the plain product of the "
            "same vectors. There and back: a linear map each way, fitted on "
            "different facts, must end where it began; what such maps do to all facts alike is "
            "chance of the fit, so intervals over facts are too narrow there. Layer and penalty "
            "are chosen on other facts. " + judged(measured)
        ),
    )


def sentence(measured: Measured) -> str:
    def rate(model: str, what: What, group: Group) -> str:
        of = {"reading": what, "group": group, "place": "prompt_last"}
        return spoken(measured.estimates.of(model=model, **of, quantity="accuracy"))

    def gain(what: What) -> str:
        of = {"reading": what, "group": "both", "place": "prompt_last"}
        return without_unit(measured.estimates.of(model="finetuned", **of, quantity="z_gain"))

    words = Words(measured.roles)
    return (
        f"Where the answer begins, a bilinear probe finds the {said('backward', measured.roles)} "
        f"for facts {words.told('trained_forward')} in "
        f"{rate('finetuned', 'backward', 'trained_forward')} and told in "
        f"both orders in {rate('finetuned', 'backward', 'both')} (with shuffled labels "
        f"{rate('shuffled', 'backward', 'both')}), and the matrix fitted the other way, "
        f"transposed, in {rate('finetuned', 'transposed_backward', 'trained_forward')} and "
        f"{rate('finetuned', 'transposed_backward', 'both')}; over the plain product of the same "
        f"vectors, which is the logit lens, they gain {gain('backward')} and "
        f"{gain('transposed_backward')} standard deviations (told in both)."
    )


def judged(measured: Measured) -> str:
    tests = {test.name: test for test in measured.tests}
    parts = []
    for reading, place in product(ORDERS, POSITIONS):
        of = {"reading": reading, "place": place}
        test = tests[Estimates(NAME).name(**of, quantity="z")]
        power = measured.estimates.find(**of, quantity="power")
        had = "" if power is None else f", power if nothing {spoken(power)}"
        p = probability(test.p_adjusted)
        scale = f"p = {p}{had}" if p else "no scale to judge by"
        parts.append(f"{said(reading, measured.roles)}, {PLACE[place]}: {scale}")
    return (
        "Told the other way, z below a margin of what facts told in both show (non-superiority, "
        f"Holm): {'; '.join(parts)}."
    )


def by_layer(run: Run, measured: Measured) -> Picture:
    panels = [
        panel(measured, what, position) for what, position in product(SHOWN, reversed(POSITIONS))
    ]
    mutual, forward, backward, back = (
        said(what, measured.roles) for what in ("mutual", "forward", "backward", "return_forward")
    )
    layers = [str(layer) for layer in range(len(panels[0].lines[0].estimates))]
    return picture(
        run,
        "bilinear",
        lambda theme: profile_figure(panels, layers, theme, quantity="found [%]", scale=100),
        title="",
        alt=f"Accuracy of bilinear probes by layer. {sentence(measured)}",
        caption=(
            "Share of facts whose partner comes first, by the number of layers that the streams "
            "have passed (0: the embedding), with 95 % intervals over facts. Left: where the "
            "answer begins; right: at the last token of the entity that is read. From above: "
            f"{mutual}; {backward}; the same by the matrix that was fitted for the {forward}, "
            f"transposed; {back}. Dashed: the plain product of the same vectors; dotted: chance."
        ),
    )


def panel(measured: Measured, what: What, place: Position) -> Panel:
    words, found, lines = Words(measured.roles), measured.estimates, []
    for group in TRAINED:
        of = {"model": "finetuned", "reading": what, "group": group, "place": place}
        right = found.along("layer", **of, quantity="accuracy")
        lines.append(Line(words.told(group), ASKED[group], [*right.values()]))
        if found.find(**of, layer=0, quantity="plain"):
            plain = found.along("layer", **of, quantity="plain")  # which the legend leaves out
            lines.append(Line("_product", ASKED[group], [*plain.values()], True))
    facts = found.of(
        model="finetuned", reading=what, group="both", place=place, quantity="accuracy"
    ).n
    where = "at the answer" if place == "prompt_last" else "at the entity"
    shown = {
        "mutual": "mutual",
        "backward": f"{words.sought('backward')} sought",
        "transposed_backward": "transposed",
        "return_forward": "back again",
    }[what]
    return Panel(f"{shown}, {where}", lines, 1 / facts)


def numbers(measured: Measured) -> Table:
    """Percent with intervals, where the answer begins; the gain in standard deviations."""
    rows = []
    for what, group in product(WHATS, TRAINED):
        of = {"reading": what, "group": group, "place": "prompt_last"}
        cells = [
            measured.estimates.find(model=model, **of, quantity=quantity)
            for model, quantity in (
                ("finetuned", "accuracy"),
                ("finetuned", "z_gain"),
                ("shuffled", "accuracy"),
                ("untrained", "accuracy"),
                ("base", "accuracy"),
            )
        ]
        texts = ["" if cell is None else without_unit(cell) for cell in cells]
        rows.append([said(what, measured.roles), Words(measured.roles).told(group), *texts])
    return Table("Bilinear probes where the answer begins: found [%]", COLUMNS, rows, COLUMNS[2:])
