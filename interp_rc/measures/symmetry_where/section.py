"""The page's section on where in an encoder the class of a relation sits."""

import numpy as np

from interp_rc.display.figures.heatmap import Map, Rows, heatmap_figure
from interp_rc.display.figures.profile import Line, Panel, profile_figure
from interp_rc.display.section import Picture, Section, Table, picture
from interp_rc.display.wording import TIE, spoken
from interp_rc.measures.symmetry_where.asked import PATCHED, PLACES
from interp_rc.measures.symmetry_where.estimates import NAME
from interp_rc.measures.symmetry_where.words import (
    ENCODERS,
    NOTE,
    READ,
    about_patching,
    about_probes,
    percent,
)
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured, Run

NONE = Estimate(None, None, None, 0, "ratio")
LOOKS = {"pretrained": "reverse", "retrained": "same", "untrained": "both"}
GROUPS = (
    ("words of the relation", ("premise", "hypothesis", "both")),
    ("entities, in both", ("the first", "the second")),
    ("others", ("special tokens", "everything")),
)


def section(run: Run, measured: Measured) -> Section:
    layers = layers_of(measured)
    figures, tables = [probe_picture(run, measured, layers)], [probe_table(measured, layers)]
    if recovered(measured, "everything", 0).value is not None:
        figures.append(patching_picture(run, measured, layers))
        tables.append(patching_table(measured, layers))
    return Section(
        title="Where the class of a relation sits",
        sentence=f"{about_probes(measured, layers)} {about_patching(measured, layers)}",
        figures=figures,
        tables=tables,
        note=NOTE,
    )


def layers_of(measured: Measured) -> int:
    """How many the encoder has, besides its embeddings."""
    return max(measured.estimates.where(part="probe").each("layer"))


def probe(measured: Measured, encoder: str, place: str, layer: int, what: str) -> Estimate:
    of = {"part": "probe", "model": encoder, "place": place, "layer": layer}
    return measured.estimates.of(**of, quantity=what)


def recovered(measured: Measured, place: str, layer: int) -> Estimate:
    of = {"part": "patching", "place": place, "layer": layer, "quantity": "recovered"}
    return measured.estimates.find(**of) or NONE


def probe_picture(run: Run, measured: Measured, layers: int) -> Picture:
    def lines(place: str, what: str) -> list[Line]:
        return [
            Line(
                name,
                LOOKS[encoder],
                [probe(measured, encoder, place, layer, what) for layer in range(layers + 1)],
            )
            for encoder, name in ENCODERS.items()
        ]

    def permuted(place: str) -> Line:
        every = [probe(measured, "pretrained", place, n, "permuted") for n in range(layers + 1)]
        return Line("as it came, permuted", "reverse", every, faint=True)

    panels = [
        Panel(READ[place], [*lines(place, "held_out"), permuted(place)], 0.5) for place in PLACES
    ]
    panels.append(Panel("relation’s words, looked up", lines("relation", "looked_up"), 0.5))
    ticks = [str(layer) for layer in range(layers + 1)]
    return picture(
        run,
        f"{NAME}_probes",
        lambda theme: profile_figure(panels, ticks, theme, quantity="class found [%]", scale=100),
        title="Is the class readable?",
        alt=f"Probe accuracy by place and layer. {about_probes(measured, layers)}",
        caption=(
            "How often a linear probe tells whether a relation is symmetric, by where it reads "
            "(in premise and hypothesis, which are read together) and by the number of layers "
            "passed (0: the embeddings). Both classes count the same; dotted: chance. The relation "
            "that is read was left out of the probe’s training together with one of the other "
            "class; in the last panel it was not, and other entities were. Lines: 95 % intervals "
            "over relations. Dashed: classes permuted over relations, the mean of the draws."
        ),
    )


def patching_picture(run: Run, measured: Measured, layers: int) -> Picture:
    cells = [[recovered(measured, place, n) for n in range(layers + 1)] for place in PATCHED]
    values = np.array([[np.nan if e.value is None else e.value for e in row] for row in cells])
    beyond = np.array([[is_beyond_zero(e) for e in row] for row in cells])
    one = Map("", values, np.zeros(values.shape, bool), beyond)
    groups = [Rows(heading, labels) for heading, labels in GROUPS]
    return picture(
        run,
        f"{NAME}_patching",
        lambda theme: heatmap_figure(
            [one], groups, theme, quantity="share of the head’s difference recovered"
        ),
        title="Which states carry it to the head?",
        alt=f"Recovered share by place and layer. {about_patching(measured, layers)}",
        caption=(
            "In the retrained encoder: states of a pair in a symmetric relation are put into a "
            "pair of the same entities in an antisymmetric one, at one place after one layer (0: "
            "the embeddings); how much of the difference in what the head says (the logit of "
            "“entailment” less that of the other label) comes with them. Point: the 95 % interval "
            "over couples of relations does not include zero; grey: not there. Everything at once "
            "brings the whole difference, as it must."
        ),
    )


def is_beyond_zero(estimate: Estimate) -> bool:
    if estimate.low is None or estimate.high is None:
        return False
    return estimate.low > 0 or estimate.high < 0


def shown(layers: int) -> list[int]:
    """The embeddings, halfway, and the end."""
    return sorted({0, layers // 2, layers})


def probe_table(measured: Measured, layers: int) -> Table:
    rows = [
        [
            READ[place],
            name,
            *(
                plain(spoken(probe(measured, encoder, place, layer, "held_out")))
                for layer in shown(layers)
            ),
            plain(spoken(probe(measured, encoder, place, layers, "permuted"))),
            plain(spoken(probe(measured, encoder, place, layers, "looked_up"))),
        ]
        for place in PLACES
        for encoder, name in ENCODERS.items()
    ]
    relations = probe(measured, "pretrained", "relation", 0, "held_out").n
    columns = [
        "read at",
        "encoder",
        *(f"layer {n}" for n in shown(layers)),
        "permuted",
        "looked up",
    ]
    return Table(
        f"Class found [%], with 95 % intervals over {relations} relations. Permuted and looked up "
        "after the last layer; of permuted classes, the range of 95 % of the draws",
        columns,
        rows,
        columns[2:],
    )


def patching_table(measured: Measured, layers: int) -> Table:
    named = [f"{heading}: {label}" for heading, labels in GROUPS for label in labels]
    rows = [
        [name, *(plain(percent(recovered(measured, place, layer))) for layer in shown(layers))]
        for name, place in zip(named, PATCHED, strict=True)
    ]
    couples = recovered(measured, "everything", 0).n
    columns = ["exchanged", *(f"layer {n}" for n in shown(layers))]
    return Table(
        f"Recovered share of the head’s difference [%], with 95 % intervals over {couples} couples "
        "of relations",
        columns,
        rows,
        columns[1:],
    )


def plain(told: str) -> str:
    """Value and interval without the unit, which the caption names; empty where there is none."""
    return "" if told.startswith("not") else told.replace(f"{TIE}%", "")
