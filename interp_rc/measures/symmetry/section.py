"""The page's section on symmetric and antisymmetric relations in sentence encoders."""

from collections.abc import Sequence
from itertools import product

from interp_rc.display.figures.curves import Curve, CurvePanel, curves_figure
from interp_rc.display.figures.rates import Rate, rates_figure
from interp_rc.display.section import Answer, Picture, Section, picture
from interp_rc.display.wording import TIE
from interp_rc.measures.symmetry.section_tables import tables
from interp_rc.measures.symmetry.words import LEFT_OUT, METHODS, NAMES, PAPER, by_size, methods
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured, Run

KEPT = "wrong_entity"
ALPHA = 0.05
SHOWN = {"lookup": "look-up", "relation_only": "relation’s words"}
"""The shortcuts of the figure; the table has them all."""
# Group of the figure, and where its numbers are.
GROUPS = (
    ("known relations", NAMES | {"role": "same"}),
    ("other wordings", NAMES | {"role": "held_out"}),
    ("relations left out", LEFT_OUT),
    ("another entity: class’s answer", NAMES | {"role": KEPT}),
)


def section(run: Run, measured: Measured) -> Section:
    return Section(
        title="Symmetric or not: what retraining teaches an encoder",
        sentence=sentence(measured),
        figures=[
            figure
            for figure in (controls(run, measured), sample_curves(run, measured))
            if figure is not None
        ],
        tables=tables(measured),
        note=NOTE,
        answer=Answer(sentence(measured), meaning(measured)),
        unit="draws, pairs or relations, as said,",
    )


NOTE = (
    "Premise “X r Y”, hypothesis “Y r X”: entailed if the relation is symmetric, contradicted if "
    "it is antisymmetric (published data calls that neutral). In this published form the label is "
    "the relation’s class whoever X and Y are, and the hypothesis is always swapped: the words of "
    f"the relation say it all. The methods, and the claim tested, are those of {PAPER}. Intervals "
    "are over draws of training pairs (over test pairs where all draws agree or there is one), and "
    "over relations where these are left out: fourteen, each left out once, both classes counted "
    "alike."
)


def sentence(measured: Measured) -> str:
    """What the controls do to the claim, in one sentence."""
    trained = _span(measured, **NAMES, role="same")
    left = _span(measured, **LEFT_OUT)
    kept = _span(measured, **NAMES, role=KEPT)
    lookup = measured.estimates.find(**NAMES, method="lookup", role="same", when="after")
    alone = _alone(measured)
    if trained is None:
        return "No method was trained on the published form in this run."
    told = f"Retrained in the published form, the encoder is right about {trained} of new pairs"
    if lookup is not None and lookup.value is not None:
        told += f", and a look-up of the relation’s words about {_percent(lookup)}"
    but = []
    if left:
        beside = f"; from the relation’s words alone: {_percent(alone)}" if alone else ""
        but.append(
            f"about {left} where the relation was left out of training (chance: 50{TIE}%{beside})"
        )
    if kept:
        but.append(
            f"in {kept} of cases it answers by the relation’s class when the hypothesis is about "
            "another entity and nothing follows"
        )
    return f"{told}{'; but it is right ' if left else '; but ' if but else ''}{', and '.join(but)}."


def meaning(measured: Measured) -> str:
    """What follows, never more than the tests allow."""
    tests = {test.name: test for test in measured.tests}
    left = (measured.estimates.name(**LEFT_OUT, method=method) for method in methods(measured))
    names = [f"{name}.above_chance" for name in left]
    asked = [tests[name] for name in names if name in tests]
    if not asked:
        return "Without relations left out, this run cannot tell symmetry from the words for it."
    above = sum(test.p_adjusted is not None and test.p_adjusted < ALPHA for test in asked)
    if not above:
        return (
            "No method is shown to know of a relation that it was not trained on whether it is "
            "symmetric: what was learnt is not shown to be more than the words of the relations."
        )
    before = [one.value or 0 for one in _estimates(measured, **LEFT_OUT, when="before")]
    who = "every method does" if above == len(asked) else f"{above} of {len(asked)} methods do"
    said = f"On relations that were left out, {who} better than chance"
    if before:
        said += f" (before retraining the methods get {_range(before)})"
    alone = _alone(measured)
    best = max(one.value or 0 for one in _estimates(measured, **LEFT_OUT, when="after"))
    if alone is None or alone.value is None:
        return f"{said}."
    if best <= alone.value:
        return (
            f"{said}, and none gets more than a regression on the relation’s words alone, as the "
            "encoder came: words like those of known relations may be all it takes."
        )
    return f"{said}; a regression on the relation’s words alone gets {_percent(alone)}."


def _alone(measured: Measured) -> Estimate | None:
    """Relations left out, judged by the words of the relation alone."""
    return measured.estimates.find(**LEFT_OUT, method="relation_only", when="after")


def _percent(estimate: Estimate) -> str:
    return "" if estimate.value is None else f"{100 * estimate.value:.0f}{TIE}%"


def _estimates(measured: Measured, **of: str) -> list[Estimate]:
    found = [measured.estimates.find(**of, method=method) for method in methods(measured)]
    return [one for one in found if one is not None]


def _span(measured: Measured, **of: str) -> str | None:
    """The least and the most over the methods after retraining, in percent."""
    found = _estimates(measured, **of, when="after")
    values = [one.value for one in found if one.value is not None]
    return _range(values) if values else None


def _range(values: Sequence[float]) -> str:
    least, most = (f"{100 * value:.0f}" for value in (min(values), max(values)))
    return f"{least}{TIE}%" if least == most else f"{least} to {most}{TIE}%"


def rates(measured: Measured) -> list[Rate]:
    """Each group's methods after retraining, and the shortcuts that are `SHOWN`."""
    found = []
    variants = [*methods(measured), *SHOWN]
    for (group, of), variant in product(GROUPS, variants):
        estimate = measured.estimates.find(**of, method=variant, when="after")
        if estimate is None:
            continue
        shortcut = variant in SHOWN
        label = SHOWN[variant] if shortcut else METHODS[variant]
        asked = "control" if shortcut else "same" if group == GROUPS[0][0] else "reverse"
        chance = None if of.get("role") == KEPT else 0.5
        found.append(Rate(group, label, asked, estimate, chance))
    return found


def controls(run: Run, measured: Measured) -> Picture | None:
    rows = rates(measured)
    if not rows:
        return None
    return picture(
        run,
        "symmetry_controls",
        lambda theme: rates_figure(
            rows,
            theme,
            quantity="right, or the class’s answer",
            rows="",
            over="pairs, draws or relations",
        ),
        title="The claim and its controls",
        alt=f"Rates of the methods and of looking up the relation’s words. {sentence(measured)}",
        caption=(
            "Two labels, names. Circles: new pairs about relations, and in wordings, that it was "
            "trained on; diamonds: the controls; squares: a look-up of the relation’s words, and a "
            "regression on their vector, as the encoder came. Dashed: chance. Last group: how "
            "often the answer is that of the relation’s class when the hypothesis got another "
            "entity; who reads the entities does not give it."
        ),
    )


def sample_curves(run: Run, measured: Measured) -> Picture | None:
    panels, draws = [], 0
    for method in methods(measured):
        found = by_size(measured, method)
        if len(found) > 1:
            scaled = [_hundredfold(one) for one in found.values()]
            curve = Curve("accuracy", "same", [*found], scaled)
            panels.append(CurvePanel(METHODS[method], [curve]))
            draws = scaled[0].n
    if not panels:
        return None
    over = f"mean over {draws} draws with 95 % t intervals" if draws > 1 else "a single draw"
    return picture(
        run,
        "symmetry_samples",
        lambda theme: curves_figure(
            panels, theme, quantity="right [%]", across="training pairs", doubling=True
        ),
        title="How many pairs it takes",
        alt="Accuracy of each method by the number of training pairs.",
        caption=(
            f"Published form, names; {over}. A draw that got every test pair right was not tried "
            "with more pairs and counts as right there."
        ),
    )


def _hundredfold(one: Estimate) -> Estimate:
    value, low, high = (None if v is None else 100 * v for v in (one.value, one.low, one.high))
    return Estimate(value, low, high, one.n, "percent")
